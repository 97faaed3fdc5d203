package access

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// limited is a listener whose accepted connections come out of a channel.
func limited(t *testing.T, most, perAddress int) (*ConnLimiter, chan net.Conn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = inner.Close() })
	c := NewConnLimiter(inner, most, perAddress)
	came := make(chan net.Conn, 16)
	go func() { // ends with the listener
		for {
			conn, err := c.Accept()
			if err != nil {
				return
			}
			came <- conn
		}
	}()
	return c, came
}

func dial(t *testing.T, c *ConnLimiter) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", c.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// gone reports whether the other side has closed a connection.
func gone(t *testing.T, conn net.Conn, within time.Duration) bool {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(within)))
	var b [1]byte
	_, err := conn.Read(b[:])
	var late net.Error
	return err != nil && !(assert.ErrorAs(&silent{}, err, &late) && late.Timeout())
}

// silent keeps ErrorAs from failing a test.
type silent struct{}

func (*silent) Errorf(string, ...any) {}

// TestConnLimiterReplaces: of too many connections, the one that has waited longest without an answer is closed, and none that was answered
// while there is such a one.
func TestConnLimiterReplaces(t *testing.T) {
	c, came := limited(t, 3, 0)
	worker := dial(t, c)
	_, err := (<-came).Write([]byte("x"))
	require.NoError(t, err)
	first, second := dial(t, c), (net.Conn)(nil)
	<-came
	second = dial(t, c)
	<-came
	assert.Equal(t, 3, c.Stats().Open)
	third := dial(t, c)
	<-came
	assert.True(t, gone(t, first, time.Second), "the oldest that did nothing")
	assert.False(t, gone(t, second, 20*time.Millisecond))
	dial(t, c)
	<-came
	assert.True(t, gone(t, second, time.Second))
	assert.False(t, gone(t, third, 20*time.Millisecond))
	require.NoError(t, worker.SetReadDeadline(time.Now().Add(time.Second)))
	var b [1]byte
	n, err := worker.Read(b[:])
	require.NoError(t, err)
	assert.Equal(t, 1, n, "who was answered stays")
	assert.Equal(t, ConnLimiterStats{Open: 3, Replaced: 2}, c.Stats())
}

// TestOneAddress: an address has enough, and has more again once one of its connections ends.
func TestOneAddress(t *testing.T) {
	c, came := limited(t, 0, 2)
	first := dial(t, c)
	server := <-came
	dial(t, c)
	<-came
	assert.True(t, gone(t, dial(t, c), time.Second))
	assert.EqualValues(t, 1, c.Stats().Refused)
	require.NoError(t, server.Close())
	assert.True(t, gone(t, first, time.Second))
	dial(t, c)
	select {
	case <-came:
	case <-time.After(time.Second):
		t.Fatal("the third is not taken although there is room")
	}
}

// TestRates: a producer has ten seconds' worth at once, then what comes in; one whose entry names a rate has that.
func TestRates(t *testing.T) {
	g := &Grant{Name: "orders"}
	g.limit(100)
	assert.Zero(t, g.Take(600))
	assert.Zero(t, g.Take(400))
	wait := g.Take(100)
	assert.InDelta(t, 1, wait.Seconds(), 0.1, "a hundred come in a second")
	own := &Grant{Name: "bulk", Rate: 5}
	own.limit(100)
	assert.EqualValues(t, 5, own.PerSecond())
	assert.Zero(t, own.Take(50))
	assert.Positive(t, own.Take(1))
	assert.Zero(t, (*Grant)(nil).Take(1_000_000), "no token is needed")
	free := &Grant{}
	free.limit(0)
	assert.Zero(t, free.Take(1_000_000))
}

// A proxy's connections are those of many clients: the bound of one address is not for it.
func TestConnLimiterExemptsProxies(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = inner.Close() }()
	c := NewConnLimiter(inner, 0, 1)
	proxies, err := ParseNetworks("127.0.0.0/8")
	require.NoError(t, err)
	c.Exempt(proxies)
	for range 3 {
		dial(t, c)
		_, err := c.Accept()
		require.NoError(t, err)
	}
	assert.Equal(t, 3, c.Stats().Open)
}
