package traffic

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// Behind a server that takes HTTP/2, too, Answer is asked about the requests of a connection after its first one, and only about whole
// beginnings of requests.
func TestAnswerBesideHTTP2(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var answered atomic.Int32
	l := NewListener(inner, Options{HTTP2: true, Answer: func(dst, request []byte) ([]byte, bool) {
		if string(request) != plainRequest {
			return dst, false
		}
		answered.Add(1)
		return append(dst, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfast"...), true
	}})
	server := NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "slow") }), zap.NewNop())
	server.Protocols.SetUnencryptedHTTP2(true)
	server.ConnState = l.State
	done := make(chan struct{})
	go func() { _ = server.Serve(l); close(done) }()
	t.Cleanup(func() { _ = server.Close(); <-done })

	c, err := net.Dial("tcp", inner.Addr().String())
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	reader := bufio.NewReader(c)
	for i, step := range []struct{ send, want string }{
		{plainRequest, "slow"}, {plainRequest, "fast"}, {plainRequest, "fast"}, {plainRequest + plainRequest, "slow slow"}, {plainRequest, "fast"},
	} {
		_, err := io.WriteString(c, step.send)
		require.NoError(t, err)
		got := ""
		for range len(step.want)/5 + 1 {
			answer, err := http.ReadResponse(reader, nil)
			require.NoError(t, err)
			body, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			got += " " + string(body)
		}
		assert.Equal(t, " "+step.want, got, i)
	}
	assert.EqualValues(t, 3, answered.Load())

	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	for range 2 {
		answer, err := (&http.Client{Transport: transport}).Get("http://" + inner.Addr().String() + "/")
		require.NoError(t, err)
		assert.Equal(t, 2, answer.ProtoMajor)
		_ = answer.Body.Close()
	}
}

// A connection of HTTP/2 has no fast path: a client's own bytes, which may stand at the beginning of a read, are not taken for a request.
func TestNoAnswerWithinHTTP2(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := NewListener(inner, Options{HTTP2: true, Answer: func(dst, _ []byte) ([]byte, bool) {
		t.Error("Answer is asked")
		return dst, false
	}})
	defer func() { _ = l.Close() }()
	client, err := net.Dial("tcp", inner.Addr().String())
	require.NoError(t, err)
	defer func() { _ = client.Close() }()
	c, err := l.Accept()
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	buffer := make([]byte, serverBuffer)
	for _, step := range []struct {
		sent string
		read int // the length of the buffer that is read into
	}{{"PRI * HTTP/2.0", len("PRI * HTTP/2.0")}, {"\r\n\r\nSM\r\n\r\n", 10}, {plainRequest, serverBuffer}, {"x", 1}, {plainRequest, serverBuffer}} {
		_, err := io.WriteString(client, step.sent)
		require.NoError(t, err)
		n, err := io.ReadAtLeast(c, buffer[:step.read], len(step.sent))
		require.NoError(t, err)
		assert.Equal(t, step.sent, string(buffer[:n]))
		l.State(c, http.StateActive) // a stream begins and ends
		l.State(c, http.StateIdle)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
	}
}
