package traffic

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// conversationsVariable is how many conversations TestDifferential has, and conversationVariable the one seed that it repeats.
const (
	conversationsVariable = "REPORTERD_CONVERSATIONS"
	conversationVariable  = "REPORTERD_CONVERSATION"
)

// TestDifferential holds the loop against bare net/http: both get the same random requests, usual and unusual, cut and pipelined at
// random, and must give the same answers and end the connection alike.
//
// What may differ: the order and the date of fields; a long answer has a Content-Length where net/http sends chunks; behind a handler
// that panics net/http waits for the rest of the body, and the loop ends the connection at once.
func TestDifferential(t *testing.T) {
	conversations, first := 2000, uint64(1)
	if text := os.Getenv(conversationsVariable); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		conversations = n
	}
	if text := os.Getenv(conversationVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		conversations, first = 1, seed
	}
	loops := 0
	for seed := first; seed < first+uint64(conversations); seed++ {
		pieces := conversation(rand.New(rand.NewPCG(seed, 0)))
		var got, want string
		synctest.Test(t, func(t *testing.T) { want, _ = converse(t, pieces, false) })
		synctest.Test(t, func(t *testing.T) {
			var handed bool
			if got, handed = converse(t, pieces, true); !handed {
				loops++
			}
		})
		if got != want {
			t.Fatalf("conversation %d (%s=%d repeats it):\n%q\nnet/http answers\n%s\nthe loop\n%s", seed, conversationVariable, seed, pieces, want, got)
		}
	}
	t.Logf("%d conversations, %d of them without net/http", conversations, loops)
	assert.Greater(t, loops, conversations/10-1, "the loop has its part")
}

// converse sends pieces to a server and returns what it answers until it hangs up. handed says that net/http took the connection.
func converse(t *testing.T, pieces []string, loop bool) (answers string, handed bool) {
	var taken atomic.Bool
	p := &pipes{incoming: make(chan net.Conn), done: make(chan struct{})}
	server := NewServer(http.HandlerFunc(behave), zap.NewNop())
	var l net.Listener = p
	if loop {
		listener := NewListener(p, Options{Handler: http.HandlerFunc(behave)})
		server.ConnState = func(c net.Conn, s http.ConnState) {
			taken.Store(true)
			listener.State(c, s)
		}
		defer func() { listener.Finish(context.Background(), 0) }()
		l = listener
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }() // ends with Shutdown
	client, far := net.Pipe()
	p.incoming <- far
	heard := make(chan string)
	go func() { heard <- listen(client) }() // ends when the server hangs up
	for _, piece := range pieces {
		if _, err := io.WriteString(client, piece); err != nil {
			break // the server has hung up
		}
		synctest.Wait()
	}
	answers = <-heard
	_ = client.Close()
	require.NoError(t, server.Shutdown(context.Background()))
	<-ended
	return answers, taken.Load()
}

// listen reads answers until the connection ends.
func listen(from io.Reader) string {
	var all strings.Builder
	r, begun := bufio.NewReader(from), time.Now()
	for {
		answer, err := http.ReadResponse(r, &http.Request{Method: http.MethodPost})
		if err != nil {
			rest, _ := io.ReadAll(r) // behind an answer to HEAD, which has no body
			fmt.Fprintf(&all, "%d bytes, ended after %d s\n", len(rest), int(time.Since(begun).Round(time.Second).Seconds()))
			return all.String()
		}
		body, err := io.ReadAll(answer.Body)
		for _, field := range []string{"Date", "Content-Length", "Connection"} {
			answer.Header.Del(field)
		}
		if len(body) > 200 {
			body = fmt.Appendf(body[:50:50], "… %d bytes", len(body))
		}
		fmt.Fprintf(&all, "%s %v close=%v %q %v\n", answer.Status, answer.Header, answer.Close, body, err)
	}
}

// behave is a handler that does what a request's path says.
func behave(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/none":
	case "/part":
		_, _ = io.ReadFull(r.Body, make([]byte, 5))
	case "/close":
		w.Header().Set("Connection", "close")
	case "/empty":
		w.WriteHeader(http.StatusNoContent)
		return
	case "/panic":
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	case "/long":
		_, _ = w.Write(make([]byte, 5000))
		return
	case "/break":
		w.Header()["X-Broken"] = []string{"a\r\nX-More: b ", "c"}
		w.WriteHeader(http.StatusTeapot)
		return
	case "/slow":
		<-time.After(3 * time.Second)
	default:
		body, err := io.ReadAll(r.Body)
		if len(body) > 100 {
			body = fmt.Appendf(nil, "%d bytes", len(body))
		}
		_, _ = fmt.Fprintf(w, "read %q %v ", body, err != nil)
	}
	w.WriteHeader(http.StatusAccepted) // for some it is too late
	_, _ = fmt.Fprintf(w, "%s %s %q %s %d %v %v %s", r.Method, r.URL.Path, r.URL.RawQuery, r.RequestURI, r.ContentLength, r.Header, r.Host, r.Proto)
}

// conversation returns the pieces that a client sends.
func conversation(r *rand.Rand) []string {
	var all strings.Builder
	for range 1 + r.IntN(4) {
		all.WriteString(randomRequest(r))
	}
	text := all.String()
	var pieces []string
	for range r.IntN(4) {
		if len(text) < 2 {
			break
		}
		at := 1 + r.IntN(min(len(text)-1, 1+r.IntN(6000)))
		pieces, text = append(pieces, text[:at]), text[at:]
	}
	return append(pieces, text)
}

// pick returns the usual value in most cases, and one of the others now and then.
func pick(r *rand.Rand, usual string, others ...string) string {
	if r.IntN(8) > 0 {
		return usual
	}
	return others[r.IntN(len(others))]
}

func randomRequest(r *rand.Rand) string {
	method := pick(r, []string{"GET", "POST", "POST"}[r.IntN(3)], "HEAD", "PUT", "OPTIONS", "get", "G(T", "")
	paths := []string{"/echo", "/none", "/part", "/empty", "/long", "/break", "/slow"}
	target := pick(r, paths[r.IntN(len(paths))], "/panic", "/close", "/echo?a=b&c", "/%65cho", "/echo#x", "//echo", "/a b", "*", "http://h/echo", "/é", "/echo%zz", "echo", "/"+strings.Repeat("q", 4090))
	head := method + " " + target + " " + pick(r, "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "http/1.1", "HTTP/1.1 ")
	body := ""
	if r.IntN(3) > 0 && method != "GET" || r.IntN(20) == 0 {
		body = strings.Repeat("b", []int{0, 1, 5, 6, 100, 3900, 4096, 5000, 70_000, 300_000}[r.IntN(10)])
	}
	length := fmt.Sprint("Content-Length: ", len(body))
	lines := []string{pick(r, "Host: h:1", "host:h", "Host: a\r\nHost: b", "Host:", "Host: a b", "Hos: x", "Host : h")}
	if body != "" || r.IntN(3) == 0 {
		lines = append(lines, pick(r, length, length+"\r\n"+length, fmt.Sprint("Content-Length: ", len(body)+1), "Content-Length: +1", "Content-Length: x",
			"Content-Length:", "Content-Length: 0"+fmt.Sprint(len(body)), "Content-Length: 99999999999999999999", "Transfer-Encoding: chunked", "content-length:\t"+fmt.Sprint(len(body))+" "))
	}
	for range r.IntN(4) {
		lines = append(lines, pick(r, []string{"User-Agent: x y", "accept: */*", "X-a: 1", "x-A: 2", "Content-Type: application/json"}[r.IntN(5)],
			"Connection: close", "Connection: keep-alive", "Connection: Keep-Alive, x", "Expect: 100-continue", "Transfer-Encoding: identity", "Upgrade: h2c", "Pragma: no-cache",
			" folded", "X-\x00: 1", "X-Bad: \x01", "X-Tab: a\tb", "X-High: \xe9", "novalue", ": noname", "X-Space : 1", "X-Lf: 1\nX-B: 2", "Trailer: a", "TE: trailers",
			"Cookie: a=b", "Keep-Alive: 1", "X-Long: "+strings.Repeat("l", 5000), "Proxy-Connection: close"))
	}
	r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return head + pick(r, "\r\n", "\n") + strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}
