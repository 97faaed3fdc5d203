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

// TestReadyBesideAPartitionThatCannotBeOpened: no replica can open one of two partitions. Each is ready for the events of the other one, takes
// them, and says which partition is missing and why; a request for it is refused.
func TestReadyBesideAPartitionThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	b, bus := sandbox(t), oneServer(t)
	var all []*daemon
	for range 2 {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "1"), nil, 0o600)) // where the caches and the ledger of partition 1 would be
		all = append(all, launch(t, clustered(t, b.url, bus).set("cluster.partitions", 2).set("data_dir", dir).write(t)))
	}
	for _, d := range all {
		d.readyWithin(joinBound)
		got, err := call(testClient, http.MethodGet, d.admin+"/readyz", "", nil)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, got.status, got.body)
		assert.Contains(t, got.body, "degraded: partition 1: no replica can open it")
		assert.Contains(t, got.body, "not a directory")
		eventually(t, 20*time.Second, "events of the other partition are taken", func() bool { return d.offer(ofPartition(t, 0, 2)).status == http.StatusAccepted })
		refused := d.offer(ofPartition(t, 1, 2))
		assert.Equal(t, http.StatusServiceUnavailable, refused.status)
		verbose, err := call(testClient, http.MethodGet, d.admin+"/readyz?verbose", "", nil)
		require.NoError(t, err)
		assert.True(t, strings.Contains(verbose.body, "no owner"), verbose.body)
	}
}
