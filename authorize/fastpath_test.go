package authorize

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

var datePattern = regexp.MustCompile(`Date: [^\r]*\r\n`)

// TestExpressIsTheHandler: what Express answers is on the wire, byte by byte but for the date, what net/http
// makes of the handler's answer.
func TestExpressIsTheHandler(t *testing.T) {
	w := newWorld(t, nil)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.Handler(r.Method, r.URL.Path).ServeHTTP(rw, r)
	}))
	defer server.Close()
	const all = "rejection_reason_header=1&limit_headers=1"
	taken := 0
	for _, options := range []string{"", all, all + "&no_body=1", all + "&flat_usage=1", "list_app_keys=1", "hierarchy=1"} {
		for _, pairs := range [][]string{
			{"app_id", "app1", "app_key", "key1"}, {"app_id", "app1", "app_key", "wrong"}, {"app_id", "app1"}, {"app_id", "nosuch"},
			{"app_id", "appnolim", "usage[hits]", "1"}, {"app_id", "appsusp"}, {"app_id", "applim", "usage[hits]", "100000"},
			{"app_id", "applim", "usage[search]", "1"}, {"app_id", "appnolim", "usage[nosuch]", "1"}, {},
		} {
			q := url.Values{"service_token": {"stoken1001"}, "service_id": {"1001"}}
			for i := 0; i < len(pairs); i += 2 {
				q.Set(pairs[i], pairs[i+1])
			}
			const path = "/transactions/authorize.xml"
			raw(t, server, path+"?"+q.Encode(), options) // now it is known
			slow := raw(t, server, path+"?"+q.Encode(), options)
			fast, ok := w.FastPath([]byte("before"), path, q.Encode(), options)
			if !ok {
				assert.Equal(t, "before", string(fast))
				continue
			}
			taken++
			assert.Equal(t, string(datePattern.ReplaceAll(slow, nil)), string(datePattern.ReplaceAll(fast[len("before"):], nil)), "%s %v", options, pairs)
			assert.Regexp(t, datePattern, string(fast))
		}
	}
	assert.Greater(t, taken, 40, "Express takes what is usual")
}

// raw is an answer as it comes over the connection.
func raw(t *testing.T, server *httptest.Server, target, options string) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	head := ""
	if options != "" {
		head = "3scale-Options: " + options + "\r\n"
	}
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n", target, head)
	require.NoError(t, err)
	var seen bytes.Buffer
	res, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &seen)), nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	return seen.Bytes()
}

// TestExpressKeepsLimits: usage is in the journal, limits hold, and what is unknown, too old or a mode's to say
// is left to the handler.
func TestExpressKeepsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		const path, query = "/transactions/authrep.xml", "service_token=stoken1001&service_id=1001&app_id=applim&usage[hits]=1"
		express := func() (got, bool) {
			answer, ok := w.FastPath(nil, path, query, "")
			if !ok {
				return got{}, false
			}
			return parse(t, answer), true
		}
		_, ok := express()
		assert.False(t, ok, "nothing is known")
		limit := w.get("authorize", "app_id", "applim", "usage[hits]", "1").verdict(t).UsageReports[0].MaxValue
		for i := range limit {
			g, ok := express()
			require.True(t, ok)
			require.Equal(t, http.StatusOK, g.status, "%d of %d", i, limit)
		}
		g, ok := express()
		require.True(t, ok)
		assert.Equal(t, http.StatusConflict, g.status)
		assert.Equal(t, threescale.CodeLimitsExceeded, w.get("authrep", "app_id", "applim", "usage[hits]", "1").header.Get("3scale-Rejection-Reason"))
		assert.Len(t, w.journal.take(), int(limit))

		pass(DefaultTTL + time.Second)
		synctest.Wait()
		_, ok = express()
		assert.False(t, ok, "what is too old is asked for again")
	})
}

// TestExpressWithoutJournal: what cannot be kept is denied.
func TestExpressWithoutJournal(t *testing.T) {
	w := newWorld(t, nil)
	w.get("authorize", "app_id", "appnolim", "usage[hits]", "1")
	w.journal.fail = io.ErrShortWrite
	answer, ok := w.FastPath(nil, "/transactions/authrep.xml", "service_token=stoken1001&service_id=1001&app_id=appnolim&usage[hits]=1", "")
	require.True(t, ok)
	assert.Equal(t, http.StatusConflict, parse(t, answer).status)
}
