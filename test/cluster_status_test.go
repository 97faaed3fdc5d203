package test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryReplicaHasTheWholeStatus: whichever replica is asked, the figures are those of all partitions, with the replica that has each.
// They balance at every moment (daemon.status), also while a killed replica's partitions move; nothing that was accepted is missing then.
func TestEveryReplicaHasTheWholeStatus(t *testing.T) {
	t.Parallel()
	b, bus := sandbox(t), oneServer(t)
	var all []*daemon
	for range 3 {
		all = append(all, launch(t, clustered(t, b.url, bus).set("batch.flush_interval", "100ms").write(t)))
	}
	for _, d := range all {
		d.ready()
		eventually(t, 30*time.Second, "each has one", func() bool { return owned(d) == 1 })
	}
	const sent = 60
	for i := range sent / 3 {
		all[i%3].send(hit("1001", "bulk1"), hit("1003", "appoauth"), hit("1004", "appref"))
	}
	owners := map[string]bool{}
	for _, d := range all {
		var s status
		eventually(t, 20*time.Second, "everything is delivered", func() bool {
			s = d.status()
			return s.Cluster.Complete && s.Events.Delivered == sent
		})
		require.Len(t, s.Cluster.Partitions, 3)
		for _, p := range s.Cluster.Partitions {
			assert.True(t, p.Known)
			owners[p.Owner] = true
		}
	}
	assert.Len(t, owners, 3)
	var moving atomic.Bool
	moving.Store(true)
	asked, gaps := 0, 0
	var asking sync.WaitGroup
	asking.Go(func() { // ends when nothing moves any more
		for moving.Load() {
			s := all[1].status()
			pause(t.Context(), 20*time.Millisecond)
			asked++
			if !s.Cluster.Complete {
				gaps++
			}
			if s.Events.Accepted != sent || s.Events.Delivered != sent {
				t.Errorf("while a partition moves: %+v", s)
			}
		}
	})
	all[0].kill()
	eventually(t, 20*time.Second, "the rest has all partitions", func() bool {
		return all[2].status().Cluster.Complete && owned(all[1])+owned(all[2]) == 3
	})
	moving.Store(false)
	asking.Wait()
	t.Logf("asked %d times, %d while a partition had no owner", asked, gaps)
}
