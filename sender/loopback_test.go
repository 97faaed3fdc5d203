package sender

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

// report sends one report over a real connection.
func report(t *testing.T, url string) Outcome {
	t.Helper()
	c, err := threescale.NewClient(threescale.ClientOptions{URL: url})
	require.NoError(t, err)
	defer c.CloseIdle()
	answer, err := c.Report(t.Context(), &threescale.Report{
		ServiceID: "1", Credentials: threescale.Credentials{ServiceToken: "t"},
		Transactions: []threescale.Transaction{{Application: threescale.Application{ID: "a"}}},
	})
	return Outcome{Answer: answer, Err: err}
}

func TestVerdictsOverARealConnection(t *testing.T) {
	var reports atomic.Int64
	drop := func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		reports.Add(1)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}
	server := httptest.NewServer(http.HandlerFunc(drop))
	defer server.Close()
	assert.Equal(t, Verdict{Kind: Ambiguous, Code: "no_answer"}, Judge(report(t, server.URL)), "reset after the report was read")
	assert.EqualValues(t, 1, reports.Load(), "one attempt is one report")

	secure := httptest.NewTLSServer(http.HandlerFunc(drop))
	defer secure.Close()
	assert.Equal(t, Verdict{Kind: Retry, Code: "connection"}, Judge(report(t, secure.URL)), "a certificate that is not trusted")

	nothing, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + nothing.Addr().String()
	require.NoError(t, nothing.Close())
	assert.Equal(t, Verdict{Kind: Retry, Code: "connection"}, Judge(report(t, url)), "refused")
	assert.EqualValues(t, 1, reports.Load())
}
