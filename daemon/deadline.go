package daemon

import (
	"net"
	"time"
)

const (
	// writeTimeout is how long a client of the admin listener may take to read the next writeChunk bytes of an answer. After
	// that its connection is closed.
	writeTimeout = 10 * time.Second
	writeChunk   = 16 << 10
)

// deadlineListener gives every connection a write deadline that is renewed while its client reads. The whole answer has no time
// limit: a large export or a profile may take any time as long as the client reads.
type deadlineListener struct {
	net.Listener
	patience time.Duration
}

// Accept implements net.Listener.
func (l deadlineListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &deadlineConn{Conn: c, patience: l.patience}, nil
}

// deadlineConn is a connection whose writes fail when the client does not read. Like any net.Conn it may be used concurrently.
type deadlineConn struct {
	net.Conn
	patience time.Duration
}

// Write writes data in chunks, with a new deadline for each.
func (c *deadlineConn) Write(data []byte) (written int, err error) {
	for first := true; first || len(data) > 0; first = false {
		chunk := data[:min(len(data), writeChunk)]
		if err := c.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(chunk)
		written, data = written+n, data[n:]
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
