package traffic

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// Beside HTTP/2, Answer is asked about what came at the beginnings of requests.
func TestAnswerBesideHTTP2(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var answered atomic.Int32
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "slow") })
	l := NewListener(inner, Options{Handler: slow, Answer: func(dst, request []byte) ([]byte, bool) {
		if string(request) != plainRequest {
			return dst, false
		}
		answered.Add(1)
		return append(dst, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfast"...), true
	}})
	server := NewServer(slow, zap.NewNop())
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
		{plainRequest, "fast"}, {plainRequest, "fast"}, {plainRequest, "fast"}, {plainRequest + plainRequest, "slow fast"}, {plainRequest, "fast"},
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
	assert.EqualValues(t, 5, answered.Load())

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
	l := NewListener(inner, Options{Handler: http.NotFoundHandler(), Answer: func(dst, request []byte) ([]byte, bool) {
		assert.Equal(t, "PRI * HTTP/2.0", string(request), "Answer is asked about the first bytes only")
		return dst, false
	}})
	defer func() { _ = l.Close() }()
	client, err := net.Dial("tcp", inner.Addr().String())
	require.NoError(t, err)
	defer func() { _ = client.Close() }()
	_, err = io.WriteString(client, "PRI * HTTP/2.0")
	require.NoError(t, err)
	c, err := l.Accept()
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	buffer := make([]byte, headBuffer)
	for i, sent := range []string{"PRI * HTTP/2.0", "\r\n\r\nSM\r\n\r\n", plainRequest, "x", plainRequest} {
		if i > 0 {
			_, err := io.WriteString(client, sent)
			require.NoError(t, err)
		}
		n, err := io.ReadAtLeast(c, buffer, len(sent))
		require.NoError(t, err)
		assert.Equal(t, sent, string(buffer[:n]))
	}
}
