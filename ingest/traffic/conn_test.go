package traffic

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// pipes is a listener in memory: its connections tell fake time.
type pipes struct {
	incoming chan net.Conn
	done     chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.incoming:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// serveConn serves h behind NewListener in a bubble, and returns the client's end of one connection.
func serveConn(t *testing.T, h http.HandlerFunc) (client net.Conn, answers *bufio.Reader) {
	return serveFastPath(t, h, nil)
}

// serveFastPath does the same with an FastPath.
func serveFastPath(t *testing.T, h http.HandlerFunc, e FastPath) (client net.Conn, answers *bufio.Reader) {
	p := &pipes{incoming: make(chan net.Conn), done: make(chan struct{})}
	server, listener := NewServer(h, zap.NewNop()), NewListener(p, Options{Handler: h})
	server.ConnState = listener.State
	if e != nil {
		listener.SetFastPath(e)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }() // ends with Shutdown
	client, far := net.Pipe()
	p.incoming <- far
	t.Cleanup(func() {
		_ = client.Close()
		require.NoError(t, server.Shutdown(context.Background()))
		listener.Finish(context.Background(), 0)
		assert.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return client, bufio.NewReader(client)
}

func postPlain(t *testing.T, to io.Writer, body string) {
	_, err := fmt.Fprintf(to, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	require.NoError(t, err)
}

func echoes(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	<-time.After(time.Second) // of fake time: net/http has begun to watch the connection by now
	_, _ = w.Write(body)
}

func TestConnectionServesMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, answers := serveConn(t, echoes)
		for i := range 100 { // also far beyond the first timer, and across pauses
			<-time.After(time.Duration(i) * time.Second)
			body := strings.Repeat("x", i)
			postPlain(t, client, body)
			answer, err := http.ReadResponse(answers, nil)
			require.NoError(t, err)
			got, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			assert.Equal(t, body, string(got))
		}
	})
}

func TestConnectionTakesTheNextRequestEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, answers := serveConn(t, echoes)
		go func() {
			for _, body := range []string{"one", "two", "three"} {
				postPlain(t, client, body)
			}
		}()
		for _, body := range []string{"one", "two", "three"} {
			answer, err := http.ReadResponse(answers, nil)
			require.NoError(t, err)
			got, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			assert.Equal(t, body, string(got), "no byte is lost to the watch")
		}
	})
}

// TestConnectionTakesAnyCut: wherever the network cuts a request, also one byte before the buffer of 4 KiB is full.
func TestConnectionTakesAnyCut(t *testing.T) {
	for cut := 4090; cut <= 4100; cut++ {
		synctest.Test(t, func(t *testing.T) {
			client, answers := serveConn(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.RawQuery) })
			require.NoError(t, client.SetDeadline(time.Now().Add(time.Minute)))
			query := strings.Repeat("q", 5000)
			request := "GET /?" + query + " HTTP/1.1\r\nHost: h\r\n\r\n"
			for range 3 {
				for _, piece := range []string{request[:cut], request[cut:]} {
					_, err := io.WriteString(client, piece)
					require.NoError(t, err)
					synctest.Wait()
				}
				answer, err := http.ReadResponse(answers, nil)
				require.NoError(t, err)
				got, err := io.ReadAll(answer.Body)
				require.NoError(t, err)
				assert.Equal(t, http.StatusOK, answer.StatusCode, "cut at %d", cut)
				assert.Equal(t, query, string(got))
			}
		})
	}
}

func TestConnectionKeepsDeadlines(t *testing.T) {
	cases := map[string]struct {
		before int    // requests served first
		sent   string // and nothing more
		after  time.Duration
	}{
		"no head":                   {0, "POST / HT", headerTimeout},
		"half a body":               {0, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx", readTimeout},
		"idle":                      {1, "", idleTimeout},
		"half a body, after others": {20, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx", readTimeout},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, answers := serveConn(t, echoes)
				for range c.before {
					postPlain(t, client, "x")
					answer, err := http.ReadResponse(answers, nil)
					require.NoError(t, err)
					_, _ = io.Copy(io.Discard, answer.Body)
				}
				begin := time.Now()
				_, err := io.WriteString(client, c.sent)
				require.NoError(t, err)
				_, _ = io.Copy(io.Discard, answers)
				assert.InDelta(t, c.after.Seconds(), time.Since(begin).Seconds(), 2, "the server hangs up")
			})
		})
	}
}

func TestConnectionStopsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, answers := serveConn(t, echoes)
		postPlain(t, client, "x")
		answer, err := http.ReadResponse(answers, nil)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, answer.Body)
		begin := time.Now()
		t.Cleanup(func() { assert.Less(t, time.Since(begin), time.Second) })
	})
}

func TestConnectionSaysWhyBeforeItCloses(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := NewServer(handler, zap.NewNop())
	ended := make(chan error, 1)
	listener := NewListener(l, Options{Handler: handler})
	server.ConnState = listener.State
	go func() { ended <- server.Serve(listener) }() // ends with Close
	defer func() { require.NoError(t, server.Close()); <-ended }()
	answer, err := http.Post("http://"+l.Addr().String()+"/v1/events", "application/json", strings.NewReader(strings.Repeat(" ", 64<<10)))
	require.NoError(t, err)
	defer answer.Body.Close()
	assert.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode)
}

// TestHandedOverWithoutDeadlines: what the loop has set on a connection does not end an answer of net/http, which sets no write deadline
// of its own: its usage is on disk by then, and the client would send it again.
func TestHandedOverWithoutDeadlines(t *testing.T) {
	for name, request := range map[string]string{
		"chunked":  "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
		"HTTP/1.0": "POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, answers := serveConn(t, echoes)
				postPlain(t, client, "loop")
				assert.Equal(t, "loop", hear(t, answers))
				<-time.After(writeTimeout - time.Second) // the answer takes a second
				_, err := io.WriteString(client, request)
				require.NoError(t, err)
				assert.Equal(t, "x", hear(t, answers))
			})
		})
	}
}
