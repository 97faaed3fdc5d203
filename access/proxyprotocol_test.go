package access

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// proxied is a listener whose peers at the addresses are trusted, and what its connections have.
func proxied(t *testing.T, trusted string) (address string, accepted <-chan net.Conn) {
	t.Helper()
	n, err := ParseNetworks(trusted)
	require.NoError(t, err)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := NewProxyListener(inner, n, zap.NewNop())
	conns := make(chan net.Conn)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return inner.Addr().String(), conns
}

func dialWith(t *testing.T, address string, first []byte) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = c.Write(first)
	require.NoError(t, err)
	return c
}

// A header of each version is read, and what stands behind it is the client's.
func TestProxyHeaders(t *testing.T) {
	address, accepted := proxied(t, "127.0.0.1")
	source, target := &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 4000}, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80}
	second, err := proxyproto.HeaderProxyFromAddrs(2, source, target).Format()
	require.NoError(t, err)
	local, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL}).Format()
	require.NoError(t, err)
	for want, header := range map[string][]string{
		"203.0.113.7:4000":     {"PROXY TCP4 203.0.113.7 10.0.0.1 4000 80\r\n", string(second)},
		"[2001:db8::1]:4000":   {"PROXY TCP6 2001:db8::1 2001:db8::2 4000 80\r\n"},
		"the connection's own": {"PROXY UNKNOWN\r\n", string(local)},
	} {
		for _, h := range header {
			client := dialWith(t, address, []byte(h+"hello"))
			c := <-accepted
			if want == "the connection's own" {
				want = client.LocalAddr().String()
			}
			assert.Equal(t, want, c.RemoteAddr().String(), "%q", h)
			got := make([]byte, 5)
			_, err := io.ReadFull(c, got)
			require.NoError(t, err)
			assert.Equal(t, "hello", string(got))
			_, err = client.Write([]byte("again"))
			require.NoError(t, err)
			_, err = io.ReadFull(c, got)
			require.NoError(t, err)
			assert.Equal(t, "again", string(got))
			_ = c.Close()
			if want == client.LocalAddr().String() {
				want = "the connection's own"
			}
		}
	}
}

// Without a header a trusted peer is not served, and a slow one delays no other one. A header of another peer is no header.
func TestProxyHeadersAreOfTrustedPeersAndAlways(t *testing.T) {
	address, accepted := proxied(t, "127.0.0.1")
	dialWith(t, address, []byte("PRO")) // and nothing more
	assert.True(t, gone(t, dialWith(t, address, []byte("GET / HTTP/1.1\r\n\r\n")), 10*time.Second))
	dialWith(t, address, []byte("PROXY TCP4 203.0.113.7 10.0.0.1 4000 80\r\n"))
	c := <-accepted
	assert.Equal(t, "203.0.113.7:4000", c.RemoteAddr().String())
	_ = c.Close()

	address, accepted = proxied(t, "10.0.0.1")
	client := dialWith(t, address, []byte("PROXY TCP4 203.0.113.7 10.0.0.1 4000 80\r\n"))
	c = <-accepted
	assert.Equal(t, client.LocalAddr().String(), c.RemoteAddr().String())
	got := make([]byte, 5)
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	assert.Equal(t, "PROXY", string(got))
	_ = c.Close()
}
