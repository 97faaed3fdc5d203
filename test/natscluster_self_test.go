package test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// TestNATSCluster judges the judge: the cluster of the tests survives what they do to it, and one that is cut
// off takes nothing.
func TestNATSCluster(t *testing.T) {
	if number(t, clusterKillsVariable, 0) == 0 {
		t.Skip(clusterKillsVariable + "=100 tries what the cluster test stands on, too")
	}
	c := newNATSCluster(t)
	conn, err := nats.Connect(c.urls(0), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "X", Subjects: []string{"x"}, Replicas: 3})
	require.NoError(t, err)
	publish := func() bool {
		_, err := js.Publish(t.Context(), "x", nil, jetstream.WithRetryAttempts(0))
		return err == nil
	}
	for i := range natsServers {
		c.stop(i)
		eventually(t, 30*time.Second, "the others take messages", publish)
		c.start(i)
		c.led()
		c.isolate(i, true)
		eventually(t, 30*time.Second, "the others take messages", publish)
		c.reunite(i, true)
		c.led()
	}
	c.isolate(0, false)
	alone, err := nats.Connect("nats://" + c.clients[0].proxy.Listen)
	require.NoError(t, err)
	t.Cleanup(alone.Close)
	other, err := jetstream.New(alone)
	require.NoError(t, err)
	_, err = other.Publish(t.Context(), "x", nil, jetstream.WithRetryAttempts(0))
	require.Error(t, err, "a server without the others acknowledges nothing")
}
