package access

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNetworks(t *testing.T) {
	n, err := ParseNetworks("10.0.0.0/8, 192.168.1.7,fd00::/8")
	require.NoError(t, err)
	for address, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "192.168.1.7": true, "192.168.1.8": false, "fd00::1": true, "fe80::1": false, "11.0.0.1": false,
	} {
		assert.Equal(t, want, n.Has(&net.TCPAddr{IP: net.ParseIP(address)}), address)
	}
	assert.False(t, n.Has(&net.UnixAddr{}))
	n, err = ParseNetworks("unix")
	require.NoError(t, err)
	assert.True(t, n.Has(&net.UnixAddr{}))
	assert.False(t, n.Has(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}))
	n, err = ParseNetworks(" ")
	require.NoError(t, err)
	assert.False(t, n.Has(&net.UnixAddr{}))
	for _, text := range []string{"host", "10.0.0.0/33", "10.0.0.1,", "fe80::1%eth0"} {
		_, err := ParseNetworks(text)
		assert.Error(t, err, text)
	}
}
