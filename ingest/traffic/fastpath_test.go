package traffic

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

const plainRequest = "GET /transactions/authorize.xml?a=b HTTP/1.1\r\nHost: h:7070\r\nUser-Agent: x y\r\n3scale-Options: no_body=1\r\n\r\n"

// FuzzPlainGet: what plainGet takes, net/http reads the same, and finds nothing in it that was passed over.
func FuzzPlainGet(f *testing.F) {
	f.Add([]byte(plainRequest))
	for _, line := range []string{
		"Connection: close", "Connection: keep-alive", "Content-Length: 3", "Transfer-Encoding: chunked", "Expect: 100-continue", "Host: other",
		"Host:", " folded: x", "User-Agent : x", "Accept-Encoding: gzip", "X-3scale-User-Agent: r", "Upgrade: h2c", "\x00: x", "Accept: \x01",
		"X-Forwarded-For: 10.0.0.1, 10.0.0.2", "Via: 1.1 proxy", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "X-Real-IP: \x01",
	} {
		f.Add([]byte(strings.Replace(plainRequest, "User-Agent: x y", line, 1)))
	}
	for _, pair := range [][2]string{{"HTTP/1.1", "HTTP/1.0"}, {"GET", "HEAD"}, {"?a=b", "?a=b#c"}, {"?a=b", "?a=%zz"}, {"?a=b", ""}, {"a=b", "a= b"}, {"\r\n\r\n", "\r\n\r\nGET"}, {"\r\n", "\n"}} {
		f.Add([]byte(strings.ReplaceAll(plainRequest, pair[0], pair[1])))
	}
	for _, target := range []string{"/transactions/auth0%", "/transactions/auth%zz?a=b", "/transactions/auth%2F?a=b", "/transactions/auth;x?a", "/transactions/auth[?a=%"} {
		f.Add([]byte(strings.Replace(plainRequest, "/transactions/authorize.xml?a=b", target, 1)))
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		path, query, options, ok := plainGet(request)
		if !ok {
			return
		}
		reader := bufio.NewReader(bytes.NewReader(request))
		r, err := http.ReadRequest(reader)
		require.NoError(t, err)
		require.Zero(t, reader.Buffered(), "whole, and nothing behind")
		require.Equal(t, http.MethodGet, r.Method)
		require.Equal(t, r.URL.RawQuery, strings.TrimSuffix(query, "#"+r.URL.Fragment))
		if strings.IndexByte(path, '%') < 0 {
			require.Equal(t, r.URL.Path, path)
		}
		require.Equal(t, r.Header.Get("3scale-Options"), options)
		require.False(t, r.Close)
		require.Zero(t, r.ContentLength)
		require.Empty(t, r.TransferEncoding)
		require.NotEmpty(t, r.Host)
		for _, name := range []string{"Expect", "Upgrade", "Authorization", "Content-Type", "Trailer"} {
			require.Empty(t, r.Header.Values(name))
		}
	})
}

func TestPlainGet(t *testing.T) {
	path, query, options, ok := plainGet([]byte(plainRequest))
	assert.True(t, ok)
	assert.Equal(t, []string{"/transactions/authorize.xml", "a=b", "no_body=1"}, []string{path, query, options})
	for _, unusual := range []string{
		"Connection: close", "Content-Length: 0", "Transfer-Encoding: chunked", "Expect: 100-continue", "Host: other", "Authorization: Bearer x",
		"X-Request-Id: 1", "3scale-Options: flat_usage=1",
	} {
		_, _, _, ok := plainGet([]byte(strings.Replace(plainRequest, "User-Agent: x y", unusual, 1)))
		assert.False(t, ok, unusual)
	}
	for _, proxys := range []string{"X-Forwarded-For: 10.0.0.1, 10.0.0.2", "X-Real-IP: 10.0.0.1", "Via: 1.1 p", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"} {
		_, _, _, ok := plainGet([]byte(strings.Replace(plainRequest, "User-Agent: x y", proxys, 1)))
		assert.True(t, ok, proxys)
	}
}

// fastPath answers plain requests with their query, and counts them.
func fastPath(served *atomic.Int32) FastPath {
	return func(dst []byte, _, query, _ string) ([]byte, bool) {
		if query == "slow" {
			return dst, false
		}
		served.Add(1)
		return fmt.Appendf(dst, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(query), query), true
	}
}

func ask(t *testing.T, to io.Writer, query string) {
	t.Helper()
	_, err := fmt.Fprintf(to, "GET /transactions/authorize.xml?%s HTTP/1.1\r\nHost: h\r\n\r\n", query)
	require.NoError(t, err)
}

func hear(t *testing.T, answers *bufio.Reader) string {
	t.Helper()
	answer, err := http.ReadResponse(answers, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(body)
}

func handled(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, _ = io.WriteString(w, "handler "+r.URL.RawQuery+string(body))
}

// TestFastPathAnswersBetween: the second request of a connection and those behind it, with slow ones among them,
// for longer than a connection may rest.
func TestFastPathAnswersBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var served atomic.Int32
		client, answers := serveFastPath(t, handled, fastPath(&served))
		ask(t, client, "first")
		assert.Equal(t, "first", hear(t, answers))
		for i := range 20 {
			<-time.After(idleTimeout / 3)
			q := fmt.Sprint(i)
			ask(t, client, q)
			assert.Equal(t, q, hear(t, answers))
			if i%5 == 0 {
				ask(t, client, "slow")
				assert.Equal(t, "handler slow", hear(t, answers))
			}
		}
		assert.EqualValues(t, 21, served.Load())
		begin := time.Now()
		_, _ = io.Copy(io.Discard, answers)
		assert.InDelta(t, idleTimeout.Seconds(), time.Since(begin).Seconds(), 2, "the server hangs up on who rests")
	})
}

// TestFastPathLeavesNoWriteDeadline: net/http sets none of its own, so one that is left on the connection would
// cut off an answer whose usage is already on disk, and the client would send the usage again.
func TestFastPathLeavesNoWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var served atomic.Int32
		client, answers := serveFastPath(t, handled, fastPath(&served))
		ask(t, client, "fast")
		assert.Equal(t, "fast", hear(t, answers))
		assert.EqualValues(t, 1, served.Load(), "the fast path answered it")
		<-time.After(writeTimeout + time.Second)
		ask(t, client, "slow")
		assert.Equal(t, "handler slow", hear(t, answers))
	})
}

// TestFastPathBoundsEveryWrite: net/http clears the write deadline behind each of its requests; the fast path
// must set it again, or a client that reads nothing holds the connection for ever.
func TestFastPathBoundsEveryWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var served atomic.Int32
		client, answers := serveFastPath(t, handled, fastPath(&served))
		ask(t, client, "fast")
		hear(t, answers)
		ask(t, client, "slow")
		hear(t, answers)
		ask(t, client, "unread")
		<-time.After(writeTimeout + time.Second)
		assert.EqualValues(t, 2, served.Load())
		_, err := answers.ReadByte()
		assert.ErrorIs(t, err, io.EOF, "the server hung up after writeTimeout")
	})
}

// TestFastPathReadsNoBodies: what looks like a request in a body, or behind the beginning of another, is none.
func TestFastPathReadsNoBodies(t *testing.T) {
	for name, pieces := range map[string][]string{
		"in a body":          {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", "%s"},
		"behind a beginning": {"POST / HTTP/1.1\r\nHost: h\r\n", "Content-Length: %d\r\n\r\n%s"},
		"behind two letters": {"PO", "ST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", "%s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var served atomic.Int32
				client, answers := serveFastPath(t, handled, fastPath(&served))
				ask(t, client, "slow")
				hear(t, answers)
				for _, piece := range pieces {
					piece = strings.Replace(piece, "%d", fmt.Sprint(len(plainRequest)), 1)
					_, err := io.WriteString(client, strings.Replace(piece, "%s", plainRequest, 1))
					require.NoError(t, err)
					synctest.Wait()
				}
				assert.Equal(t, "handler "+plainRequest, hear(t, answers))
				assert.Zero(t, served.Load())
			})
		})
	}
}

// TestFastPathKnowsWhatIsBuffered: bytes that net/http has read beyond its request are the beginning of the next.
func TestFastPathKnowsWhatIsBuffered(t *testing.T) {
	for _, left := range []string{"P", "PO", "POS"} {
		synctest.Test(t, func(t *testing.T) {
			var served atomic.Int32
			client, answers := serveFastPath(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Method) }, fastPath(&served))
			_, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"+left)
			require.NoError(t, err)
			assert.Equal(t, "GET", hear(t, answers))
			synctest.Wait()
			_, err = io.WriteString(client, plainRequest)
			require.NoError(t, err)
			assert.Equal(t, left+"GET", hear(t, answers))
			assert.Zero(t, served.Load())
		})
	}
}

// TestFastPathPipelined: requests that come together are answered in their order.
func TestFastPathPipelined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var served atomic.Int32
		client, answers := serveFastPath(t, handled, fastPath(&served))
		go func() {
			var all bytes.Buffer
			for _, q := range []string{"one", "two", "three"} {
				ask(t, &all, q)
			}
			_, _ = client.Write(all.Bytes())
		}()
		for _, q := range []string{"one", "two", "three"} {
			assert.Equal(t, q, strings.TrimPrefix(hear(t, answers), "handler "))
		}
	})
}

// TestFastPathFinishes: a shutdown in the middle of an answer lets it out.
func TestFastPathFinishes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server, listener := NewServer(http.HandlerFunc(handled), zap.NewNop()), NewListener(l, Options{Handler: http.HandlerFunc(handled)})
	server.ConnState = listener.State
	begun, finish := make(chan struct{}), make(chan struct{})
	listener.SetFastPath(func(dst []byte, _, _, _ string) ([]byte, bool) {
		close(begun)
		<-finish
		return append(dst, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nkept"...), true
	})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }() // ends with Shutdown
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	answers := bufio.NewReader(client)
	ask(t, client, "x")
	<-begun
	require.NoError(t, server.Shutdown(t.Context()))
	require.ErrorIs(t, <-ended, http.ErrServerClosed)
	assert.EqualValues(t, 1, listener.busy.Load(), "the answer is not written yet, and Finish waits for it")
	close(finish)
	listener.Finish(t.Context(), 0)
	assert.Equal(t, "kept", hear(t, answers))
	_, err = answers.ReadByte()
	assert.ErrorIs(t, err, io.EOF, "and then it is closed")
}
