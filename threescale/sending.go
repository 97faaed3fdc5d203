package threescale

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// sending is the body of one request, and knows how far the request got. The transport reads it once,
// from a goroutine of its own.
type sending struct {
	body   []byte
	offset int         // owned by the transport's writing goroutine
	begun  atomic.Bool // the transport has asked for the body

	conn atomic.Pointer[meteredConn] // the connection the request went to; nil: none yet, or not ours
	base atomic.Uint64               // what had been written to it before
	got  atomic.Bool                 // a connection was found
}

// Read hands the body over.
func (s *sending) Read(p []byte) (int, error) {
	s.begun.Store(true)
	if s.offset >= len(s.body) {
		return 0, io.EOF
	}
	n := copy(p, s.body[s.offset:])
	s.offset += n
	return n, nil
}

// Close does nothing.
func (s *sending) Close() error { return nil }

// trace watches for the connection.
func (s *sending) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if m := metered(info.Conn); m != nil {
			s.base.Store(m.sent.Load())
			s.conn.Store(m)
		}
		s.got.Store(true)
	}}
}

// written reports whether the backend may have got anything it can count. A head without its body
// cannot be counted (the backend answers 408 when the body stays away), nor can what never left this
// process.
func (s *sending) written() bool {
	if len(s.body) > 0 && !s.begun.Load() {
		return false
	}
	if m := s.conn.Load(); m != nil {
		return m.writing.Load() || m.sent.Load() != s.base.Load()
	}
	return s.got.Load() || s.begun.Load()
}

// meteredConn counts what is written to a connection.
type meteredConn struct {
	net.Conn
	sent    atomic.Uint64 // bytes the kernel took
	writing atomic.Bool   // a Write has not returned yet
}

// Write marks itself before and after, so that a caller that gives up in between takes the bytes for written.
func (m *meteredConn) Write(p []byte) (int, error) {
	m.writing.Store(true)
	n, err := m.Conn.Write(p)
	m.sent.Add(uint64(n))
	m.writing.Store(false)
	return n, err
}

// dialMetered connects within ten seconds and keeps probing idle connections.
func dialMetered(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &meteredConn{Conn: conn}, nil
}

// metered finds the counting connection below TLS.
func metered(conn net.Conn) *meteredConn {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	m, _ := conn.(*meteredConn)
	return m
}
