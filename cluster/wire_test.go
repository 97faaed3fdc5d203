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

// streamed are events of two messages of a stream, and one of none.
func streamed() []event.Event {
	first, second := &event.Source{Stream: 1 << 63, Sequence: 1, Floor: 2, Next: 3}, &event.Source{Sequence: 1 << 40}
	events := make([]event.Event, 5)
	for i, source := range []*event.Source{first, first, nil, second, second} {
		events[i] = event.Event{ServiceID: "1001", Source: source}
	}
	return events
}

func TestWire(t *testing.T) {
	assert.EqualValues(t, 1, cluster.AppendEvents(nil, wired)[0], "older replicas read lists without messages of streams")
	for _, events := range [][]event.Event{wired, streamed()} {
		wires(t, events)
	}
	got, err := cluster.ReadEvents(cluster.AppendEvents(nil, streamed()))
	require.NoError(t, err)
	assert.Same(t, got[3].Source, got[4].Source)
}

func wires(t *testing.T, events []event.Event) {
	data := cluster.AppendEvents(nil, events)
	got, err := cluster.ReadEvents(data)
	require.NoError(t, err)
	assert.Equal(t, events, got)
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
	f.Add(cluster.AppendEvents(nil, streamed()))
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
