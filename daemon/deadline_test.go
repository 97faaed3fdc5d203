package daemon

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// TestAnswersHaveADeadline: on the admin listener, a client that stops reading is cut off, for every request. One that
// reads on gets all of it.
func TestAnswersHaveADeadline(t *testing.T) {
	patience := 300 * time.Millisecond
	admin, err := bind(t.Context(), zap.NewNop(), "admin", "127.0.0.1:0", "0660", adminServer(zap.NewNop(), nil))
	require.NoError(t, err)
	admin.bound = deadlineListener{admin.bound, patience}
	ended := make(chan error, 2)
	const size = 64 << 20
	admin.gate.open(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, size))
		ended <- err
	}))
	go func() { _ = admin.serve() }()
	defer func() { _ = admin.server.Close() }()

	c, err := net.Dial("tcp", admin.address)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	_, err = c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	require.NoError(t, err)
	select {
	case err := <-ended:
		assert.ErrorContains(t, err, "timeout")
	case <-time.After(20 * time.Second):
		t.Fatal("the answer waits for a client that does not read")
	}

	answer, err := http.Get("http://" + admin.address + "/")
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	n, err := io.Copy(io.Discard, answer.Body)
	require.NoError(t, err)
	assert.EqualValues(t, size, n)
	assert.NoError(t, <-ended)
}
