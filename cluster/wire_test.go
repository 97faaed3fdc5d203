package cluster_test

import (
	"testing"

	"github.com/reporterd/reporterd/cluster"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var wired = []event.Event{
	{ServiceID: "1001", ID: "a", Transaction: threescale.Transaction{
		Application: threescale.Application{ID: "app1"}, Usage: threescale.Usage{{Metric: "hits", Value: 1}, {Metric: "transfer", Value: 1 << 52}},
		Timestamp: 1_790_000_000, Code: 404,
	}},
	{ServiceID: "1002", FlatUsage: true, Credentials: threescale.Credentials{ServiceToken: "t", ProviderKey: "p"}, Transaction: threescale.Transaction{
		Application: threescale.Application{UserKey: "ü"}, Timestamp: -1,
	}},
}

func TestWire(t *testing.T) {
	data := cluster.AppendEvents(nil, wired)
	got, err := cluster.ReadEvents(data)
	require.NoError(t, err)
	assert.Equal(t, wired, got)
	for n := range data {
		_, err := cluster.ReadEvents(data[:n])
		assert.Error(t, err, "%d of %d bytes", n, len(data))
	}
	_, err = cluster.ReadEvents(append(data, 0))
	assert.Error(t, err)
}

// FuzzWire: what can be read is written the same.
func FuzzWire(f *testing.F) {
	f.Add(cluster.AppendEvents(nil, wired))
	f.Add(cluster.AppendEvents(nil, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		events, err := cluster.ReadEvents(data)
		if err != nil {
			return
		}
		again, err := cluster.ReadEvents(cluster.AppendEvents(nil, events))
		require.NoError(t, err)
		require.Equal(t, events, again)
	})
}
