package test

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// partitionOf is the partition of a service.
func partitionOf(serviceID string, partitions int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(serviceID)) // never fails
	return int(h.Sum32() % uint32(partitions))
}

// ofPartition is one of the sandbox's services in a partition.
func ofPartition(t *testing.T, p, partitions int) event {
	t.Helper()
	for _, e := range somewhere {
		if partitionOf(e.ServiceID, partitions) == p {
			e.Usage = map[string]uint64{"hits": 1}
			return e
		}
	}
	t.Fatalf("no service is in partition %d of %d", p, partitions)
	return event{}
}

// owned is how many partitions a replica owns; 0 while it starts.
func owned(d *daemon) int {
	n := 0
	got, _ := call(testClient, http.MethodGet, d.admin+"/metrics", "", nil)
	for line := range strings.Lines(got.body) {
		if _, err := fmt.Sscanf(line, `reporterd_cluster_partitions{state="owned"} %d`, &n); err == nil {
			return n
		}
	}
	return 0
}

// TestRequestOverPartitionsWithoutOwner: one of the partitions of a request has no owner: nothing of the request is kept.
func TestRequestOverPartitionsWithoutOwner(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	s := clustered(t, b.url, oneServer(t)).set("cluster.partitions", 2)
	require.NoError(t, os.MkdirAll(s.dataDir(), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(s.dataDir(), "1"), nil, 0o600)) // where its files would be
	d := launch(t, s.write(t))
	d.traffic, d.admin = "http://"+d.await("traffic"), "http://"+d.await("admin")
	eventually(t, 20*time.Second, "it owns the other one", func() bool { return owned(d) == 1 })
	answer := d.offer(ofPartition(t, 0, 2), ofPartition(t, 1, 2))
	assert.Equal(t, http.StatusServiceUnavailable, answer.status, "%s", answer.body)
	assert.NotContains(t, answer.body, "a part")
	assert.Zero(t, d.status().Events.Accepted, "events of a refused request")
	d.send(ofPartition(t, 0, 2))
}

// TestRequestOverPartitionsInDoubt: the owner of one of the partitions does not answer. The answer says of which events it is unknown
// whether they are kept; with ids, the same request sent again is counted once.
func TestRequestOverPartitionsInDoubt(t *testing.T) {
	t.Parallel()
	linuxOnly(t) // it looks into /proc
	b, bus := sandbox(t), oneServer(t)
	set := func() settings {
		return clustered(t, b.url, bus).set("cluster.partitions", 2).set("cluster.pin_ttl", "20s")
	}
	asked, other := launch(t, set().write(t)), launch(t, set().write(t))
	asked.ready()
	other.ready()
	eventually(t, 30*time.Second, "each owns one", func() bool { return owned(asked) == 1 && owned(other) == 1 })
	events := []event{ofPartition(t, 0, 2), ofPartition(t, 1, 2)}
	for i := range events {
		events[i].ID = fmt.Sprint("once-", i)
	}
	other.suspend()
	answer := asked.offer(events...)
	other.signal(syscall.SIGCONT)
	require.Equal(t, http.StatusServiceUnavailable, answer.status, "%s", answer.body)
	told := read[struct{ Kept, Unknown []int }](t, answer)
	require.Len(t, told.Unknown, 1, "%s", answer.body)
	assert.Empty(t, told.Kept)
	body, err := json.Marshal(events)
	require.NoError(t, err)
	eventually(t, 60*time.Second, "the same request is taken", func() bool {
		got, err := call(testClient, http.MethodPost, asked.traffic+"/v1/events", "application/json", body)
		return err == nil && got.status == http.StatusAccepted
	})
	eventually(t, 30*time.Second, "each is counted", func() bool {
		all := b.usage()
		return all[events[0].ServiceID] != nil && all[events[1].ServiceID] != nil
	})
	for _, e := range events {
		for _, metrics := range b.usage()[e.ServiceID] {
			assert.EqualValues(t, 1, metrics["hits"], "service %s", e.ServiceID)
		}
	}
}
