package test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestReplicasCompareOnce: of all replicas one compares at intervals, any of them answers with its result and has it compare, and another one
// goes on after a kill. The portal's catalogue is at the door of each, and the witness metric counts the events of each partition.
func TestReplicasCompareOnce(t *testing.T) {
	t.Parallel()
	b, bus := sandbox(t), oneServer(t)
	var all []*daemon
	for range 2 {
		all = append(all, launch(t, clustered(t, b.url, bus).set("batch.flush_interval", "100ms").
			set("portal.url", b.url).set("portal.access_token", "atoken").set("portal.per_second", 100).set("portal.validate", true).
			set("reconcile.witness", "transfer").set("reconcile.exclusive", true).set("reconcile.every", "1m").write(t)))
	}
	for _, d := range all {
		d.ready()
		eventually(t, 30*time.Second, "each has some", func() bool { return owned(d) > 0 })
	}
	unknown := hit("1001", "bulk1")
	unknown.Usage = map[string]uint64{"nosuch": 1}
	for _, d := range all {
		eventually(t, 20*time.Second, "the catalogue is read", func() bool { return d.offer(unknown).status == http.StatusUnprocessableEntity })
	}
	compares := func(d *daemon) bool { return strings.Contains(metrics(d), "\nreporterd_reconcile_runs_total") }
	assert.NotEqual(t, compares(all[0]), compares(all[1]), "one of them")
	all[0].send(hit("1001", "bulk1"), hit("1003", "appoauth"), hit("1001", "bulk1"))
	eventually(t, 20*time.Second, "all is delivered, and its events are counted", func() bool {
		return b.usage()["1001"]["bulk1"]["transfer"] == 2 && b.usage()["1003"]["appoauth"]["hits"] == 1
	})
	eventually(t, 20*time.Second, "the ledger has it", func() bool {
		got, err := bookedHits(all[1])
		return err == nil && got["1001"] == 2 && got["1003"] == 1
	})
	type report struct {
		Cells   []comparedCell
		Summary map[string]int
	}
	for _, d := range all {
		got := read[report](t, mustCall(t, http.StatusOK, http.MethodPost, d.admin+"/api/v1/reconcile", nil))
		assert.NotEmpty(t, got.Cells)
		for verdict := range got.Summary {
			assert.NotContains(t, []string{"short", "over"}, verdict, "%v", got.Summary)
		}
	}
	last := mustCall(t, http.StatusOK, http.MethodGet, all[0].admin+"/api/v1/reconcile", nil).body
	assert.Equal(t, last, mustCall(t, http.StatusOK, http.MethodGet, all[1].admin+"/api/v1/reconcile", nil).body)
	runner := 0
	if compares(all[1]) {
		runner = 1
	}
	all[runner].kill()
	eventually(t, 30*time.Second, "the other one compares", func() bool {
		got, err := call(testClient, http.MethodPost, all[1-runner].admin+"/api/v1/reconcile", "", nil)
		return err == nil && got.status == http.StatusOK && compares(all[1-runner])
	})
}
