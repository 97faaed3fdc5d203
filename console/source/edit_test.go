package source

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// edited calls the admin API of a store, and returns the status and the body.
func edited(t *testing.T, s *Store, method, path, body string, header ...string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, "/api/v1/sources"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.API().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// TestSave: a source that is made on the page is in the file and in effect, with the comments of the file and the tokens of before;
// one with a mistake changes neither.
func TestSave(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sources.yaml")
	const before = "# for the board\nsources:\n  # of Ana\n  - name: first\n    question: accounts # all\n    token_sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n"
	require.NoError(t, os.WriteFile(file, []byte(before), 0o640))
	s := New(Options{File: file})
	list, err := Read(file)
	require.NoError(t, err)
	s.Apply(list)

	status, body := edited(t, s, http.MethodPut, "/orders", `{"question":"service_usage","service":"1001","metric":"hits","since":"{date.add(-30).format()}","columns":{"value":"hits"},"refresh":"5m","until":"","new_token":true}`)
	require.Equal(t, http.StatusOK, status, body)
	var answer saved
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	assert.Equal(t, "orders", answer.Source.Name)
	src, _, _, err := s.find("orders")
	require.NoError(t, err)
	assert.True(t, src.Opens(answer.Token), "the token that is shown once opens it")
	list, err = Read(file)
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.Equal(t, []string{"first", "orders", "1001", "hits"}, []string{list[0].Name, list[1].Name, list[1].Service, list[1].Columns["value"]})
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, kept := range []string{"# for the board", "# of Ana", "# all", `service: "1001"`} {
		assert.Contains(t, string(text), kept)
	}
	assert.NotContains(t, string(text), answer.Token)
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode().Perm())

	status, body = edited(t, s, http.MethodPut, "/orders", `{"question":"service_usage","service":"1002","metric":"hits"}`)
	require.Equal(t, http.StatusOK, status, body)
	src, _, _, _ = s.find("orders")
	assert.Equal(t, "1002", src.Service)
	assert.True(t, src.Opens(answer.Token), "its token stays")

	for _, c := range []struct {
		method, path, body, want string
		status                   int
	}{
		{"PUT", "/orders", `{"question":"service_usage","service":"1001"}`, "metric: expected a value", 422},
		{"PUT", "/or ders", `{"question":"accounts"}`, "expected 1 to 63 lower-case letters", 422},
		{"PUT", "/x", `{"question":"accounts","nosuch":[1]}`, "nosuch: no such key", 422},
		{"PUT", "/x", `{"question":"accounts","since":"7d"}`, "since: is not used", 422},
		{"PUT", "/x", `[]`, "body", 400},
		{"PUT", "/x", `{"question":"accounts"} {}`, "", 400},
		{"DELETE", "/nosuch", ``, "there is no source", 404},
		{"POST", "/preview", `{"question":"nosuch"}`, "expected one of accounts", 422},
		{"POST", "/preview", `{"question":"services"}`, "there is no ledger", 502},
	} {
		if strings.Contains(c.path, " ") {
			c.path = strings.ReplaceAll(c.path, " ", "%20")
		}
		s.options.Sides = func() Sides { return Sides{} }
		status, body := edited(t, s, c.method, c.path, c.body)
		assert.Equal(t, c.status, status, "%s %s %s: %s", c.method, c.path, c.body, body)
		if c.want != "body" {
			assert.Contains(t, body, c.want)
		}
	}
	status, _ = edited(t, s, http.MethodPut, "/orders", `{"question":"accounts"}`, "If-None-Match", "*")
	assert.Equal(t, http.StatusPreconditionFailed, status)
	assert.Equal(t, 2, s.Len())

	status, body = edited(t, s, http.MethodDelete, "/first", "")
	assert.Equal(t, http.StatusNoContent, status, body)
	list, err = Read(file)
	require.NoError(t, err)
	assert.Len(t, list, 1)
	status, body = edited(t, s, http.MethodGet, ".yaml", "")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "name: orders")
}

// TestSaveWithoutAFile: the first source makes the file; a file with a mistake is left to who writes it, and one that cannot be
// written changes nothing.
func TestSaveWithoutAFile(t *testing.T) {
	draft := func() *Draft {
		d, err := ReadDraft([]byte(`{"name":"first","question":"accounts"}`))
		require.NoError(t, err)
		return d
	}
	require.ErrorIs(t, New(Options{}).Save(draft(), false), ErrNoFile)
	file := filepath.Join(t.TempDir(), "sources.yaml")
	s := New(Options{File: file})
	for _, text := range []string{"", "sources:\n", "sources: []\n", `{"sources": [{"name": "a", "question": "accounts"}]}`} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		require.NoError(t, s.Save(draft(), false), text)
		list, err := Read(file)
		require.NoError(t, err)
		assert.Equal(t, "first", list[len(list)-1].Name)
	}
	require.NoError(t, os.Remove(file))
	require.NoError(t, s.Save(draft(), true))
	const broken = "sources:\n  - nam: x\n"
	require.NoError(t, os.WriteFile(file, []byte(broken), 0o600))
	require.ErrorContains(t, s.Save(draft(), false), "the file has to be corrected first")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, broken, string(text))
	s = New(Options{File: filepath.Join(t.TempDir(), "nosuch", "sources.yaml")})
	require.ErrorContains(t, s.Save(draft(), false), "set sources to a file that the daemon may write")
	assert.Zero(t, s.Len())
}

// TestPreview: what a draft would answer, of which nothing is kept.
func TestPreview(t *testing.T) {
	var p answering
	s := New(Options{Sides: func() Sides { return Sides{ThreeScale: p.side()} }})
	status, body := edited(t, s, http.MethodPost, "/preview", `{"question":"services","from":"3scale"}`)
	require.Equal(t, http.StatusOK, status, body)
	assert.Contains(t, body, `"name":"Orders"`)
	assert.Contains(t, body, `"rows_in_all":1`)
	assert.Zero(t, s.Len())
	assert.Equal(t, int32(1), p.calls.Load())
}
