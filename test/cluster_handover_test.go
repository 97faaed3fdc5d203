package test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReplicaStopsWithSlowReport: a replica is asked to stop while a report is in flight that takes longer than cluster.pin_ttl. No other
// replica sends it again.
func TestReplicaStopsWithSlowReport(t *testing.T) {
	t.Parallel()
	b, bus := sandbox(t), oneServer(t)
	set := func() settings {
		return clustered(t, b.url, bus).set("cluster.partitions", 1).set("batch.flush_interval", "50ms").set("stop_timeout", "25s")
	}
	owner := serve(t, set())
	next := launch(t, set().write(t))
	owner.send(hit("1001", "bulk1"))
	eventually(t, 20*time.Second, "the application is proven", func() bool { return b.usage()["1001"]["bulk1"]["hits"] == 1 })
	next.ready()
	before := b.calls().Report
	b.failReports(fault{Delay: "7s", Times: 1})
	owner.send(hit("1001", "bulk1"))
	eventually(t, 20*time.Second, "a report is in flight", func() bool { return b.calls().Report > before || owner.status().Lanes[0].State == "sending" })
	owner.stop()
	eventually(t, 30*time.Second, "the other replica owns the partition", func() bool {
		got, err := call(testClient, http.MethodGet, next.admin+"/readyz", "", nil)
		return err == nil && got.status == http.StatusOK
	})
	eventually(t, 30*time.Second, "nothing is pending", func() bool { return next.status().Events.Pending == 0 })
	assert.EqualValues(t, 2, b.usage()["1001"]["bulk1"]["hits"])
	assert.Zero(t, next.status().Events.Ambiguous)
}

// TestReplicaWithoutADisk: a replica that cannot make its directories says so in /readyz and gets no partition; the other one keeps its
// partitions, and stays ready.
func TestReplicaWithoutADisk(t *testing.T) {
	t.Parallel()
	b, bus := sandbox(t), oneServer(t)
	healthy := serve(t, clustered(t, b.url, bus))
	s := clustered(t, b.url, bus)
	require.NoError(t, os.MkdirAll(s.dataDir(), 0o700))
	for _, name := range []string{"check", "0", "1", "2"} {
		require.NoError(t, os.WriteFile(filepath.Join(s.dataDir(), name), nil, 0o600))
	}
	sick := launch(t, s.write(t))
	sick.await("admin")
	sick.admin = "http://" + sick.await("admin")
	eventually(t, 20*time.Second, "it says why", func() bool {
		got, err := call(testClient, http.MethodGet, sick.admin+"/readyz", "", nil)
		return err == nil && got.status == http.StatusServiceUnavailable && strings.Contains(got.body, "cannot open partitions")
	})
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); pause(t.Context(), 50*time.Millisecond) {
		mustCall(t, http.StatusOK, http.MethodGet, healthy.admin+"/readyz", nil)
		healthy.send(hit("1001", "bulk1"), hit("1003", "appoauth"), hit("1004", "bulk1"))
	}
}
