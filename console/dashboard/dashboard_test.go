package dashboard

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/console/source"
)

// counting is a ledger with a hit in each hour, and how often it was asked.
type counting struct{ asked atomic.Int32 }

func (c *counting) sides() source.Sides {
	return source.Sides{Ledger: &source.Side{
		Get: func(context.Context, string, url.Values) (json.RawMessage, error) {
			return json.RawMessage(`{"services":[]}`), nil
		},
		Usage: func(_ context.Context, q source.UsageQuery, add func(string, time.Time, int64)) error {
			c.asked.Add(1)
			for at := q.Since; at.Before(q.Until); at = at.Add(time.Hour) {
				add("", at, 1)
			}
			return nil
		},
	}}
}

func open(t *testing.T, dir string, ledger *counting, operators *access.Tokens) *Store {
	t.Helper()
	return Open(Options{
		Dir: dir, Sources: source.New(source.Options{Sides: ledger.sides}), Operators: operators,
		Services: func() map[string]string { return map[string]string{"1001": "Orders", "Ü": ""} },
	})
}

func call(s *Store, method, path, body, token string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/api/v1/dashboards"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	if method == http.MethodGet && path != "" {
		s.Readers(true).ServeHTTP(w, r)
	} else {
		s.Operators().ServeHTTP(w, r)
	}
	return w
}

const hits = `{"kind":"line","question":{"question":"service_usage","service":"1001","metric":"hits"}}`

// TestDashboards: one is saved, read after a restart, opened by its own token and by no other, and removed.
func TestDashboards(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dashboards")
	var ledger counting
	operators := access.Closed(access.Operators)
	s := open(t, dir, &ledger, operators)
	w := call(s, http.MethodPut, "/board", `{"title":"Board","range":"7d","timezone":"Europe/Madrid","tiles":[`+hits+`,{"kind":"gauge","source":"limits","max":100}],"new_token":true}`, "")
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var made struct{ Token string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &made))
	w = call(s, http.MethodPut, "/other", `{"tiles":[]}`, "")
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	assert.Equal(t, http.StatusPreconditionFailed, call(s, http.MethodPut, "/board", `{"tiles":[]}`, "", "If-None-Match", "*").Code)
	text, err := os.ReadFile(filepath.Join(dir, "board.json"))
	require.NoError(t, err)
	assert.NotContains(t, string(text), made.Token)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "broken.json"), []byte(`{"tiles`), 0o600))
	s = open(t, dir, &ledger, operators)
	for _, c := range []struct {
		path, token string
		want        int
	}{
		{"/board", "", 401}, {"/board", "wrong", 403}, {"/board", made.Token, 200}, {"/other", made.Token, 403}, {"/nosuch", made.Token, 403},
		{"/nosuch", "", 401}, {"/service-1001", made.Token, 403}, {"/board/tiles/0", "", 401}, {"/board/tiles/0", made.Token, 200},
		{"/board/tiles/1", made.Token, 404}, {"/board/tiles/2", made.Token, 404}, {"/board/tiles/-1", made.Token, 404}, {"/other/tiles/0", made.Token, 403},
		{"/board/tiles/0?since=nosuch", made.Token, 400}, {"/board/tiles/0?timezone=Mars", made.Token, 400}, {"/board/tiles/0?by=week", made.Token, 400},
		{"/board/tiles/0?since=20000d", made.Token, 400},
	} {
		w := call(s, http.MethodGet, c.path, "", c.token)
		assert.Equal(t, c.want, w.Code, "%s with %q: %s", c.path, c.token, w.Body)
	}
	assert.NotContains(t, call(s, http.MethodGet, "/board", "", made.Token).Body.String(), "token_sha256")
	w = call(s, http.MethodPut, "/board", `{"title":"Again","tiles":[]}`, "")
	require.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, http.StatusOK, call(s, http.MethodGet, "/board", "", made.Token).Code, "the token stays")
	list := call(s, http.MethodGet, "", "", "").Body.String()
	assert.Contains(t, list, `{"name":"board","title":"Again","tiles":0,"token":true,"automatic":false}`)
	assert.Contains(t, list, `{"name":"service-1001","title":"Orders","tiles":6,"token":false,"automatic":true}`)
	assert.NotContains(t, list, "broken")
	assert.Equal(t, http.StatusNoContent, call(s, http.MethodDelete, "/board", "", "").Code)
	assert.Equal(t, http.StatusNotFound, call(s, http.MethodDelete, "/board", "", "").Code)
	assert.NoFileExists(t, filepath.Join(dir, "board.json"))
	assert.Equal(t, http.StatusConflict, call(s, http.MethodPut, "/service-1001", `{"tiles":[]}`, "").Code)
}

// TestReadersAlone: without operators only the dashboard's own token opens it, also where operators need none.
func TestReadersAlone(t *testing.T) {
	var ledger counting
	s := open(t, t.TempDir(), &ledger, nil)
	var made struct{ Token string }
	w := call(s, http.MethodPut, "/board", `{"tiles":[`+hits+`],"new_token":true}`, "")
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &made))
	for token, want := range map[string]int{"": 401, "wrong": 403, made.Token: 200} {
		for _, path := range []string{"/board", "/board/tiles/0"} {
			r := httptest.NewRequest(http.MethodGet, "/api/v1/dashboards"+path, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			s.Readers(false).ServeHTTP(w, r)
			assert.Equal(t, want, w.Code, "%s with %q", path, token)
		}
	}
}

// TestRanges: a tile answers for the range and the zone of the dashboard, and for the one before; readers of the same share an answer.
func TestRanges(t *testing.T) {
	var ledger counting
	s := open(t, t.TempDir(), &ledger, nil)
	require.Equal(t, http.StatusOK, call(s, http.MethodPut, "/board", `{"tiles":[`+hits+`]}`, "").Code)
	read := func(query string) (v source.View) {
		w := call(s, http.MethodGet, "/board/tiles/0?"+query, "", "")
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v))
		require.Len(t, v.Rows, v.Count)
		return v
	}
	v := read("since=2026-03-28&until=2026-03-30&timezone=Europe/Madrid")
	assert.Equal(t, []string{"2026-03-28T00:00:00+01:00", "2026-03-31T00:00:00+02:00"}, []string{v.Since, v.Until}, "summer time begins in it")
	require.Len(t, v.Rows, 3)
	assert.JSONEq(t, `{"time":"2026-03-29T00:00:00+01:00","value":23}`, string(v.Rows[1]), "a day of 23 hours")
	before := read("since=2026-03-28&until=2026-03-30&timezone=Europe/Madrid&before=true")
	assert.Equal(t, []string{"2026-03-25T00:00:00+01:00", v.Since}, []string{before.Since, before.Until})
	months := read("since=2026-03-01&until=2026-03-31&by=month&before=true")
	assert.Equal(t, []string{"2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"}, []string{months.Since, months.Until})
	hours := read("since=2026-10-25&until=2026-10-25&by=hour&timezone=Europe/Madrid&before=true")
	assert.Equal(t, "2026-10-25T00:00:00+02:00", hours.Until)

	asked := ledger.asked.Load()
	for range 100 {
		read("since=2026-03-28&until=2026-03-30&timezone=Europe/Madrid")
	}
	assert.Equal(t, asked, ledger.asked.Load(), "a hundred readers, one question")
}

// TestUnchangedTile: who shows the tag of what it has gets 304 and no body, until the range, the rows or their time are others.
func TestUnchangedTile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ledger counting
		s := open(t, t.TempDir(), &ledger, nil)
		require.Equal(t, http.StatusOK, call(s, http.MethodPut, "/board", `{"tiles":[`+hits+`]}`, "").Code)
		ask := func(path, tag string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodGet, "/api/v1/dashboards/board/tiles/0"+path, nil)
			r.Header.Set("If-None-Match", tag)
			w := httptest.NewRecorder()
			s.Readers(true).ServeHTTP(w, r)
			return w
		}
		first := ask("?since=7d", "")
		require.Equal(t, http.StatusOK, first.Code)
		tag := first.Header().Get("ETag")
		again := ask("?since=7d", tag)
		assert.Equal(t, http.StatusNotModified, again.Code)
		assert.Empty(t, again.Body.Bytes())
		assert.Equal(t, tag, again.Header().Get("ETag"))
		assert.Equal(t, http.StatusOK, ask("?since=8d", tag).Code, "another range")
		<-time.After(5 * time.Second)
		assert.Equal(t, http.StatusNotModified, ask("?since=7d", tag).Code, "only older")
		assert.Contains(t, ask("?since=7d", "").Body.String(), `"age_seconds":5`)
		<-time.After(6 * time.Second)
		assert.Equal(t, http.StatusOK, ask("?since=7d", tag).Code, "asked again: of another time")
	})
}

// TestWhatIsRefused names the field.
func TestWhatIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"name":"x","tiles":[{"kind":"pie","source":"a"}]}`:                                          "tiles[0].kind",
		`{"name":"x","tiles":[{"kind":"line"}]}`:                                                      "tiles[0].source",
		`{"name":"x","tiles":[{"kind":"line","source":"../a"}]}`:                                      "tiles[0].source",
		`{"name":"x","tiles":[{"kind":"line","question":{"question":"nosuch"}}]}`:                     "tiles[0].question",
		`{"name":"x","tiles":[{"kind":"line","question":{"question":"limits","service":"1"}}]}`:       "3scale has to be a source",
		`{"name":"x","tiles":[{"kind":"table","question":{"path":"/stats/a.json","from":"3scale"}}]}`: "3scale has to be a source",
		`{"name":"x","tiles":[{"kind":"line","source":"a","width":9}]}`:                               "tiles[0].width",
		`{"name":"X","tiles":[]}`:                                                                        "name",
		`{"name":"x","range":"soon","tiles":[]}`:                                                         "range",
		`{"name":"x","timezone":"Mars","tiles":[]}`:                                                      "timezone",
		`{"name":"x","token_sha256":"ab","tiles":[]}`:                                                    "token_sha256",
		`{"name":"x","nosuch":1}`:                                                                        "nosuch",
		`{"name":"x","tiles":[{"kind":"line","source":"a","max":-1}]}`:                                   "tiles[0].max",
		`{"name":"x","tiles":[` + strings.Repeat(hits+",", mostTiles) + hits + `]}`:                      "tiles: expected at most",
		`{"name":"x","title":"` + strings.Repeat("x", mostTitle+1) + `","tiles":[]}`:                     "title",
		`{"name":"x","tiles":[{"kind":"line","source":"a","title":"` + strings.Repeat("x", 201) + `"}]}`: "tiles[0].title",
		`{"name":"x"} {}`: "one JSON object",
		`{"name":"x","tiles":[{"kind":"line","question":[]}]}`: "tiles[0].question",
	} {
		_, err := Read([]byte(text))
		assert.ErrorContains(t, err, want, text)
	}
}
