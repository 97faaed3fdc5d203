package test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestShapes: every shape in which events may come is counted once, and the figures agree wherever they
// are shown.
func TestShapes(t *testing.T) {
	b := sandbox(t)
	d := serve(t, newSettings(t, b.url))
	const one = `{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`
	now := time.Now().UTC()
	for i, c := range []struct{ path, contentType, encoding, body string }{
		{"/v1/events", "application/json", "", one},
		{"/v1/events", "application/json; charset=utf-8", "", "[" + one + "," + one + "]"},
		{"/v1/events", "application/x-ndjson", "", one + "\n" + one + "\n"},
		{"/v1/events", "application/json", "gzip", zipped(t, "["+one+"]")},
		{"/v1/events", "application/json", "", strings.Replace(one, `}}`, `},"timestamp":"`+now.Format(time.RFC3339)+`"}`, 1)},
		{"/v1/events", "application/json", "", strings.Replace(one, `}}`, fmt.Sprintf(`},"timestamp":%d,"response_code":200}`, now.Unix()), 1)},
		{"/transactions.xml", "application/x-www-form-urlencoded", "", "service_token=stoken1001&service_id=1001&&transactions[0][app_id]=app1&transactions[0][usage][hits]=1"},
		{"//transactions.xml", "", "", "service_token=stoken1001&service_id=1001&transactions%5B7%5D%5Bapp_id%5D=app1&transactions%5B7%5D%5Busage%5D%5Bhits%5D=1"},
	} {
		req, err := http.NewRequest(http.MethodPost, d.traffic+c.path, strings.NewReader(c.body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", c.contentType)
		req.Header.Set("Content-Encoding", c.encoding)
		got, err := do(testClient, req)
		require.NoError(t, err)
		require.Equal(t, http.StatusAccepted, got.status, "%d: %s", i, got.body)
	}
	s := d.drained(10 * time.Second)
	assert.EqualValues(t, 10, s.Events.Delivered)
	assert.Equal(t, usage{"1001": {"app1": {"hits": 10}}}.counters(), b.usage().counters())
	metrics := mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/metrics", nil).body
	for name, want := range map[string]uint64{"accepted_total": 10, "delivered_total": 10, "duplicate_total": 0, "dead_total": 0,
		"pending": 0, "ambiguous_total": 0, "lost_total": 0} {
		assert.Regexp(t, regexp.MustCompile(fmt.Sprintf(`(?m)^reporterd_events_%s %d$`, name, want)), metrics)
	}
	d.stop()
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// TestIDs: an id counts once, also when the daemon was killed in between.
func TestIDs(t *testing.T) {
	b := sandbox(t)
	s := newSettings(t, b.url)
	d := serve(t, s)
	e := hit("1001", "app1")
	e.ID = "8b1f"
	same := e
	same.ServiceID = "1004"
	same.AppID = "appref"
	assert.JSONEq(t, `{"accepted":2,"duplicates":0}`, d.offer(e, same).body, "ids are those of a service")
	assert.JSONEq(t, `{"accepted":0,"duplicates":1}`, d.offer(e).body)
	d.flush()
	for range 2 {
		d.kill()
		d = serve(t, s)
		assert.JSONEq(t, `{"accepted":0,"duplicates":2}`, d.offer(e, same).body)
		d.flush()
	}
	st := d.drained(10 * time.Second)
	assert.EqualValues(t, 2, st.Events.Accepted)
	assert.GreaterOrEqual(t, st.Events.Duplicates, uint64(2), "of this life; a kill may take the count of the last ones along")
}

// TestUnixSocket: producers on the same machine need no port.
func TestUnixSocket(t *testing.T) {
	b := sandbox(t)
	socket := filepath.Join(t.TempDir(), "reporterd.sock")
	s := newSettings(t, b.url).set("listen", "unix:"+socket)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	for range 2 { // the second finds the socket of the first, which was killed
		d := serve(t, s)
		body := []byte(`{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`)
		got, err := call(client, http.MethodPost, "http://localhost/v1/events", "application/json", body)
		require.NoError(t, err)
		assert.Equal(t, http.StatusAccepted, got.status, "%s", got.body)
		client.CloseIdleConnections()
		d.drained(10 * time.Second)
		d.kill()
	}
	assert.EqualValues(t, 2, b.usage().counters().hits())
}

// TestSecrets: no token shows, whatever happens: not in the log, not on a page, not in a file that is
// not the spool's own.
func TestSecrets(t *testing.T) {
	const token = "stoken1001-but-nobody-knows-it"
	d := serve(t, newSettings(t, sandbox(t).url).set("log.level", "debug").
		set("services", []any{map[string]any{"id": "1001", "token": token}}))
	d.send(hit("1001", "app1"))
	form := "service_token=" + token + "x&service_id=1001&transactions[0][app_id]=app1&transactions[0][usage][hits]=1"
	got, err := call(testClient, http.MethodPost, d.traffic+"/transactions.xml", "application/x-www-form-urlencoded", []byte(form))
	require.NoError(t, err)
	assert.Equal(t, http.StatusForbidden, got.status)
	d.flush() // refused by the sandbox, which repeats the token in its answer
	for _, path := range []string{"/metrics", "/api/v1/status", "/api/v1/deadletters", "/"} {
		page, err := call(testClient, http.MethodGet, d.admin+path, "", nil)
		require.NoError(t, err)
		assert.NotContains(t, page.body, token, path)
	}
	d.stop()
	assert.NotContains(t, strings.Join(d.logged(), "\n"), token, "log")
}
