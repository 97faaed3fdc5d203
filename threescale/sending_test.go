package threescale

import (
	"bufio"
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rawBackend hands every connection to serve, with its number from 1 on, and closes it afterwards. It
// ends with the test.
func rawBackend(t *testing.T, serve func(n int, conn net.Conn)) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(n, conn)
			}()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return "http://" + listener.Addr().String()
}

// readRequest reads one whole request.
func readRequest(conn net.Conn) (*http.Request, error) {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	return r, err
}

const accepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"

// failure makes one report and wants no answer.
func failure(t *testing.T, ctx context.Context, c *Client, r *Report) *TransportError {
	t.Helper()
	answer, err := c.Report(ctx, r)
	require.Nil(t, answer)
	var broken *TransportError
	require.ErrorAs(t, err, &broken)
	assert.NotContains(t, err.Error(), "stoken")
	return broken
}

func TestNothingWritten(t *testing.T) {
	report := goldenReports["one"]
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listener.Close()
	refused := newClient(t, "http://"+listener.Addr().String())
	assert.False(t, failure(t, t.Context(), refused, &report).Written, "connection refused")

	unknown := newClient(t, "http://reporterd.invalid")
	assert.False(t, failure(t, t.Context(), unknown, &report).Written, "no such host")

	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = discard
	server.StartTLS()
	defer server.Close()
	assert.False(t, failure(t, t.Context(), newClient(t, server.URL), &report).Written, "unknown authority")

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	assert.False(t, failure(t, cancelled, refused, &report).Written, "cancelled beforehand")
}

func TestTrustedAuthority(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202) }))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c, err := NewClient(ClientOptions{URL: server.URL, RootCAs: roots})
	require.NoError(t, err)
	defer c.CloseIdle()
	report := goldenReports["one"]
	answer, err := c.Report(t.Context(), &report)
	require.NoError(t, err)
	assert.Equal(t, 202, answer.Status)
}

// TestWrittenWithoutAnAnswer is the column that matters: the backend may have counted.
func TestWrittenWithoutAnAnswer(t *testing.T) {
	small, large := goldenReports["one"], *bulkReport(100000)
	for name, c := range map[string]struct {
		report *Report
		serve  func(conn net.Conn)
	}{
		"closed after the whole request": {&small, func(conn net.Conn) { _, _ = readRequest(conn) }},
		"closed in the status line": {&small, func(conn net.Conn) {
			_, _ = readRequest(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 20")
		}},
		"not HTTP": {&small, func(conn net.Conn) {
			_, _ = readRequest(conn)
			_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH\r\n\r\n")
		}},
		"reset in the middle of the body": {&large, func(conn net.Conn) {
			_, _ = io.CopyN(io.Discard, conn, 20000)
			_ = conn.(*net.TCPConn).SetLinger(0)
		}},
	} {
		requests := atomic.Int64{}
		url := rawBackend(t, func(_ int, conn net.Conn) { requests.Add(1); c.serve(conn) })
		assert.True(t, failure(t, t.Context(), newClient(t, url), c.report).Written, name)
		assert.EqualValues(t, 1, requests.Load(), name+": sent again")
	}
}

func TestSilenceIsAmbiguous(t *testing.T) {
	report := goldenReports["one"]
	url := rawBackend(t, func(_ int, conn net.Conn) {
		_, _ = readRequest(conn)
		_, _ = conn.Read(make([]byte, 1)) // until the client goes
	})
	c, err := NewClient(ClientOptions{URL: url, Timeout: 50 * time.Millisecond})
	require.NoError(t, err)
	broken := failure(t, t.Context(), c, &report)
	assert.True(t, broken.Written)
	assert.ErrorIs(t, broken, context.DeadlineExceeded)

	ctx, cancel := context.WithCancel(t.Context())
	url = rawBackend(t, func(_ int, conn net.Conn) {
		_, _ = readRequest(conn)
		cancel()
		_, _ = conn.Read(make([]byte, 1))
	})
	assert.True(t, failure(t, ctx, newClient(t, url), &report).Written)
}

// TestBodyCutShortKeepsTheStatus: a 202 is a 202, whether its body is complete or not.
func TestBodyCutShortKeepsTheStatus(t *testing.T) {
	report := goldenReports["one"]
	url := rawBackend(t, func(_ int, conn net.Conn) {
		_, _ = readRequest(conn)
		_, _ = io.WriteString(conn, "HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\nabc")
	})
	answer, err := newClient(t, url).Report(t.Context(), &report)
	require.NoError(t, err)
	assert.Equal(t, 202, answer.Status)
	assert.Equal(t, "abc", string(answer.Body))
	assert.True(t, answer.Truncated)
}

// TestKeptConnectionThatDiesIsNotTriedAgain: net/http would repeat a GET by itself, and an authrep is a
// GET that counts.
func TestKeptConnectionThatDiesIsNotTriedAgain(t *testing.T) {
	report := goldenReports["one"]
	call := &AuthorizeCall{ServiceID: "1001", Usage: Usage{{"hits", 1}}}
	for name, second := range map[string]func(*Client) error{
		"report":  func(c *Client) error { _, err := c.Report(t.Context(), &report); return err },
		"authrep": func(c *Client) error { _, err := c.AuthRep(t.Context(), call); return err },
	} {
		requests := atomic.Int64{}
		url := rawBackend(t, func(_ int, conn net.Conn) {
			for range 2 {
				if _, err := readRequest(conn); err != nil {
					return
				}
				if requests.Add(1) == 2 {
					return
				}
				_, _ = io.WriteString(conn, accepted)
			}
		})
		client := newClient(t, url)
		_, err := client.Report(t.Context(), &report)
		require.NoError(t, err, name)
		err = second(client)
		var broken *TransportError
		require.ErrorAs(t, err, &broken, name)
		assert.True(t, broken.Written, name)
		assert.EqualValues(t, 2, requests.Load(), name+": sent again")
	}
}

// TestSecondAnswerNobodyAskedFor: the backend follows one page of its framework with a 500, which must
// not become the answer to the next request.
func TestSecondAnswerNobodyAskedFor(t *testing.T) {
	report := goldenReports["one"]
	const page = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html;charset=utf-8\r\nContent-Length: 11\r\n\r\nBad Request"
	const unasked = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
	url := rawBackend(t, func(n int, conn net.Conn) {
		for {
			if _, err := readRequest(conn); err != nil {
				return
			}
			if n == 1 {
				_, _ = io.WriteString(conn, page+unasked)
				continue
			}
			_, _ = io.WriteString(conn, accepted)
		}
	})
	client := newClient(t, url)
	answer, err := client.Report(t.Context(), &report)
	require.NoError(t, err)
	assert.Equal(t, 400, answer.Status)
	answer, err = client.Report(t.Context(), &report)
	require.NoError(t, err)
	assert.Equal(t, 202, answer.Status)
}

// refusing is a transport that fails before it looks at the body, or after.
type refusing struct{ read bool }

func (r refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.read {
		_, _ = io.Copy(io.Discard, req.Body)
	}
	return nil, io.ErrUnexpectedEOF
}

func TestForeignTransportIsJudgedByTheBody(t *testing.T) {
	report := goldenReports["one"]
	for _, read := range []bool{false, true} {
		c, err := NewClient(ClientOptions{URL: "http://x", Transport: refusing{read}})
		require.NoError(t, err)
		assert.Equal(t, read, failure(t, t.Context(), c, &report).Written)
	}
}
