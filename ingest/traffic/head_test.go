package traffic

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/reporterd/reporterd/internal/memory"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// TestUnfinishedHeads: clients that send large heads without an end take a bounded part of the memory, and requests with usual
// heads are answered beside them. A head is given back with its answer.
func TestUnfinishedHeads(t *testing.T) {
	budget := memory.New(8<<20, 1<<20)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	server, listener := NewServer(handler, zap.NewNop()), NewListener(l, Options{Memory: budget, Handler: handler})
	server.ConnState = listener.State
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }() // ends with Close
	defer func() { require.NoError(t, server.Close()); <-ended }()

	for range 40 { // 40 MB in all, if they were taken
		_, _ = io.WriteString(dialTo(t, l), "GET / HTTP/1.1\r\nHost: x\r\nX-Large: "+strings.Repeat("x", 900<<10)) // or the server has cut it off
		assert.LessOrEqual(t, budget.Used(), budget.Total())
	}
	client := dialTo(t, l)
	answers := bufio.NewReader(client)
	for _, size := range []int{10, 10 << 10, 10} {
		_, err := fmt.Fprintf(client, "POST / HTTP/1.1\r\nHost: x\r\nX-Usual: %s\r\nContent-Length: 5\r\n\r\nhello", strings.Repeat("x", size))
		require.NoError(t, err)
		reply, err := http.ReadResponse(answers, nil)
		require.NoError(t, err)
		require.Equal(t, 200, reply.StatusCode)
		body, err := io.ReadAll(reply.Body)
		require.NoError(t, err)
		assert.Equal(t, "hello", string(body))
	}
	require.NoError(t, server.Close())
	require.Eventually(t, func() bool { return budget.Used() == 0 }, 10*time.Second, time.Millisecond, "everything was given back")
}

// TestRefusedHead: the client of a head that finds no memory is told when to come again.
func TestRefusedHead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server, listener := NewServer(http.NotFoundHandler(), zap.NewNop()), NewListener(l, Options{Memory: memory.New(64<<10, 0), Handler: http.NotFoundHandler()})
	server.ConnState = listener.State
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }() // ends with Close
	defer func() { require.NoError(t, server.Close()); <-ended }()
	c := dialTo(t, l)
	go func() {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Large: "+strings.Repeat("x", 300<<10))
	}() // ends with the connection
	reply, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	assert.Equal(t, 503, reply.StatusCode)
	assert.Equal(t, "1", reply.Header.Get("Retry-After"))
}

func dialTo(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}
