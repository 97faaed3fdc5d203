package client

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/console"
)

// asked is a request as the daemon got it.
type asked struct {
	line, token string
	body        map[string]any
}

// answering is a daemon that gives one answer to everything, and what it was asked last.
func answering(t *testing.T, status int, text string) (*httptest.Server, *asked) {
	t.Helper()
	last := new(asked)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*last = asked{line: r.Method + " " + r.URL.RequestURI(), token: r.Header.Get("Authorization")}
		_ = json.NewDecoder(r.Body).Decode(&last.body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(s.Close)
	return s, last
}

func TestFind(t *testing.T) {
	s, last := answering(t, http.StatusOK, "{}")
	s.Start()
	address := s.Listener.Addr().String()
	for _, c := range []struct{ name, announced, own, token string }{
		{"not announced", "", "", ""},
		{"not announced, with a token", "", "mine", "Bearer mine"},
		{"announced", "announced", "", "Bearer announced"},
		{"announced, with a token", "announced", "mine", "Bearer mine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, fallback := t.TempDir(), address
			if c.announced != "" {
				require.NoError(t, Announce(dir, Announcement{Address: address, Token: c.announced}))
				info, err := os.Stat(filepath.Join(dir, File))
				require.NoError(t, err)
				assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it holds a token")
				fallback = "127.0.0.1:1"
			}
			found, err := Find(dir, fallback, c.own)
			require.NoError(t, err)
			require.NoError(t, found.Call(t.Context(), http.MethodGet, "/x", nil, &struct{}{}))
			assert.Equal(t, c.token, last.token)
		})
	}
}

func TestFindOverASocket(t *testing.T) {
	s, last := answering(t, http.StatusOK, "{}")
	dir := t.TempDir()
	bound, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(dir, "s"))
	require.NoError(t, err)
	_ = s.Listener.Close()
	s.Listener = bound
	s.Start()
	require.NoError(t, Announce(dir, Announcement{Address: "unix:" + filepath.Join(dir, "s")}))
	found, err := Find(dir, "127.0.0.1:1", "")
	require.NoError(t, err)
	require.NoError(t, found.Call(t.Context(), http.MethodGet, "/x", nil, &struct{}{}))
	assert.Equal(t, "GET /x", last.line)
}

// The announced certificate is trusted, and no other.
func TestFindPinsTheCertificate(t *testing.T) {
	s, _ := answering(t, http.StatusOK, "{}")
	s.StartTLS()
	dir := t.TempDir()
	file := filepath.Join(dir, "cert.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	require.NoError(t, os.WriteFile(file, text, 0o600))
	require.NoError(t, Announce(dir, Announcement{Address: s.URL, Certificate: file}))
	ask := func() error {
		found, err := Find(dir, "", "")
		require.NoError(t, err)
		return found.Call(t.Context(), http.MethodGet, "/x", nil, &struct{}{})
	}
	assert.NoError(t, ask())
	text = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("another")})
	require.NoError(t, os.WriteFile(file, text, 0o600))
	assert.ErrorContains(t, ask(), "the certificate is not the one in "+file)
	require.NoError(t, os.Remove(file))
	assert.ErrorContains(t, ask(), "no such file")
}

// If the file cannot be read, the error of a call without an answer says so: the daemon may run as another user.
func TestFindWhereTheFileCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, File), 0o700)) // a directory cannot be read as a file, not even by root
	found, err := Find(dir, "127.0.0.1:1", "")
	require.NoError(t, err)
	_, err = found.Health(t.Context(), "/readyz")
	assert.ErrorContains(t, err, "cannot reach the daemon at http://127.0.0.1:1: connect: connection refused")
	assert.ErrorContains(t, err, "is a directory")
	assert.ErrorContains(t, err, "run this command as the user of the daemon")

	s, _ := answering(t, http.StatusOK, "ok")
	s.Start()
	found, err = Find(dir, s.Listener.Addr().String(), "")
	require.NoError(t, err)
	_, err = found.Health(t.Context(), "/readyz")
	assert.NoError(t, err, "the address of the configuration is tried all the same")
}

// The traffic listener is announced beside the admin listener.
func TestFindTraffic(t *testing.T) {
	s, last := answering(t, http.StatusAccepted, `{"accepted":2,"duplicates":1}`)
	s.Start()
	dir := t.TempDir()
	require.NoError(t, Announce(dir, Announcement{Address: "127.0.0.1:1", Token: "operator", Traffic: s.Listener.Addr().String()}))
	for _, token := range []string{"", "producer"} {
		found, err := FindTraffic(dir, "127.0.0.1:1", token)
		require.NoError(t, err)
		came, err := found.SendEvents(t.Context(), []byte("{}\n"))
		require.NoError(t, err)
		assert.Equal(t, Accepted{2, 1}, came)
		assert.Equal(t, "POST /v1/events", last.line)
		assert.NotContains(t, last.token, "operator")
		assert.Equal(t, token != "", last.token == "Bearer producer")
	}
}

func TestNewRefusesWhatIsNoAddress(t *testing.T) {
	for _, address := range []string{"ftp://127.0.0.1", "http://", "://"} {
		_, err := New(address, "")
		assert.ErrorContains(t, err, "expected http://host:port or unix:/path", address)
	}
}

func TestReachable(t *testing.T) {
	for bound, dialled := range map[string]string{
		"127.0.0.1:1": "127.0.0.1:1", "0.0.0.0:1": "localhost:1", "[::]:1": "localhost:1", ":1": "localhost:1", "unix:/a": "unix:/a",
	} {
		assert.Equal(t, dialled, Reachable(bound))
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		status     int
		text, want string
	}{
		{http.StatusConflict, `{"detail":"it is on its way"}`, "it is on its way"},
		{http.StatusNotFound, "404 page not found", "is http://"},
		{http.StatusOK, "no JSON", "invalid character"},
	} {
		s, _ := answering(t, c.status, c.text)
		s.Start()
		asking, err := New(s.URL, "")
		require.NoError(t, err)
		err = asking.Call(t.Context(), http.MethodGet, "/x", nil, &struct{}{})
		require.ErrorContains(t, err, c.want)
		var refused *Refusal
		if errors.As(err, &refused) {
			assert.Equal(t, http.StatusConflict, refused.Status)
		}
		assert.Equal(t, c.status == http.StatusConflict, refused != nil)
	}
}

func TestHealth(t *testing.T) {
	for status, wrong := range map[int]string{http.StatusOK: "", http.StatusServiceUnavailable: "starting", http.StatusNotFound: "its admin listener?"} {
		s, last := answering(t, status, "starting\n")
		s.Start()
		asking, err := New(s.URL, "token")
		require.NoError(t, err)
		said, err := asking.Health(t.Context(), "/readyz")
		assert.Empty(t, last.token, "it needs none")
		if wrong != "" {
			assert.ErrorContains(t, err, wrong)
			continue
		}
		assert.NoError(t, err)
		assert.Equal(t, "starting", said)
	}
}

func TestSetTimeout(t *testing.T) {
	bound, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0") // nothing accepts
	require.NoError(t, err)
	defer bound.Close()
	asking, err := New(bound.Addr().String(), "")
	require.NoError(t, err)
	asking.SetTimeout(10 * time.Millisecond)
	_, err = asking.Health(t.Context(), "/readyz")
	assert.ErrorContains(t, err, "Timeout")
}

func TestDeadLetterCalls(t *testing.T) {
	s, last := answering(t, http.StatusOK, `{"deadletters":[{"id":"1"}],"next":"c2","letters":3,"parked":[{"id":"7"}]}`)
	s.Start()
	asking, err := New(s.URL+"/", "")
	require.NoError(t, err)
	at := time.Date(2026, 11, 21, 19, 0, 0, 5, time.UTC)
	query := console.DeadLetterQuery{ServiceID: "1001", Reason: "metric_invalid", Since: at, Limit: 5, Cursor: "c"}

	page, err := asking.DeadLetters(t.Context(), query)
	require.NoError(t, err)
	assert.Equal(t, "GET /api/v1/deadletters?cursor=c&limit=5&reason=metric_invalid&service_id=1001&since=2026-11-21T19%3A00%3A00.000000005Z", last.line)
	assert.Equal(t, "c2", page.Next)
	assert.Len(t, page.Letters, 1)

	_, err = asking.DeadLetter(t.Context(), "a/b")
	require.NoError(t, err)
	assert.Equal(t, "GET /api/v1/deadletters/a%2Fb", last.line)

	out, err := asking.OrderDeadLetters(t.Context(), "requeue", console.DeadLetterOrder{Query: query, Restamp: true})
	require.NoError(t, err)
	assert.Equal(t, 3, out.Letters)
	assert.Equal(t, map[string]any{"dry_run": false, "restamp": true, "service_id": "1001", "reason": "metric_invalid", "cursor": "c",
		"since": "2026-11-21T19:00:00.000000005Z", "until": "", "limit": 5.0, "all": true}, last.body)
	_, err = asking.OrderDeadLetters(t.Context(), "drop", console.DeadLetterOrder{IDs: []string{"1"}, DryRun: true})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"dry_run": true, "restamp": false, "ids": []any{"1"}}, last.body)

	parked, _, err := asking.Parked(t.Context(), "6", 10)
	require.NoError(t, err)
	assert.Equal(t, "GET /api/v1/parked?cursor=6&limit=10", last.line)
	assert.Equal(t, "7", parked[0].ID)
	require.NoError(t, asking.Settle(t.Context(), "7", console.Resend))
	assert.Equal(t, "POST /api/v1/parked/7/resend", last.line)
}
