package test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReceiptsOfReplicas: delivered means counted among replicas, too. The owner of a partition is killed while reports that 3scale accepted
// wait for their receipts, and an answer is lost whose report lands later: the next owner finds out, each event is counted once, and the
// ledger and status of every replica say so.
func TestReceiptsOfReplicas(t *testing.T) {
	t.Parallel() // it waits more than it works
	const applications = 450
	b, bus := sandbox(t), oneServer(t)
	b.addApplications(applications, func(i int) (service, name string) { return "1001", application(i) })
	services := b.setUpReceipts()
	begin := func() *daemon {
		return launch(t, clustered(t, b.url, bus).set("services", services).set("cluster.partitions", 1).set("sender.probe_rate", 10_000).write(t))
	}
	owner := begin()
	owner.ready()
	next := begin()
	next.ready()
	send := func(d *daemon) {
		var all []event
		for i := range applications {
			all = append(all, hit("1001", application(i)))
		}
		d.send(all...)
	}
	b.faults(map[string]any{"worker": map[string]any{"stop": true}})
	send(next)
	eventually(t, 20*time.Second, "a report is sent", func() bool { return b.calls().Report > 0 })
	require.Equal(t, 1, owned(owner))
	assert.EqualValues(t, applications, next.status().Events.Pending, "3scale accepted it, and did not count it")
	owner.kill()
	b.faults(map[string]any{"report": map[string]any{"times": 1, "close": true, "landed": true, "late": "3s"}})
	next.readyWithin(joinBound)
	eventually(t, 20*time.Second, "the next one has the partition", func() bool { return owned(next) == 1 })
	send(next)
	another := begin()
	another.ready()
	eventually(t, 90*time.Second, "all is counted", func() bool { return another.status().Events.Delivered == 2*applications })
	counted := b.usage()["1001"]
	for i := range applications {
		require.EqualValues(t, 2, counted[application(i)]["hits"], application(i))
	}
	for _, d := range []*daemon{next, another} {
		r := d.receipts().Receipts
		require.NotNil(t, r)
		assert.EqualValues(t, 2*applications, r.Events["counted"])
		assert.Zero(t, r.Open)
		eventually(t, 20*time.Second, "the ledger has it", func() bool {
			got, err := bookedHits(d)
			return err == nil && got["1001"] == 2*applications
		})
		answer := mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/ledger?limit=1", nil)
		assert.True(t, read[struct{ Receipts bool }](t, answer).Receipts)
	}
}
