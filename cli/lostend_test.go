package cli_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	events "github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// A daemon that authorizations were asked of reads at its start what is to be delivered. Where the end of the journal is lost
// there is nothing to read, and it starts all the same, flushes, and stops in good order.
func TestStartsWithoutTheEndOfTheJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := sandboxed(t, dir)
	traffic, _ := d.ready()
	status, answer := send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/authorize", `{"service_id":"1001","app_id":"app2"}`)
	require.Equal(t, http.StatusOK, status, answer)
	require.Zero(t, d.stop())
	loseEnd(t, filepath.Join(dir, "reporterd-data"))

	d = sandboxed(t, dir)
	_, admin := d.ready()
	assert.EqualValues(t, 2, counts(t, admin)["lost"])
	status, answer = send(t, &http.Client{Timeout: 10 * time.Second}, http.MethodPost, admin+"/-/flush", "")
	assert.Less(t, status, 300, answer)
	assert.Zero(t, d.stop())
}

// loseEnd has three events accepted, one of them sealed, and the rest gone.
func loseEnd(t *testing.T, dir string) {
	t.Helper()
	loseNothing(t, dir)
	files, err := filepath.Glob(filepath.Join(dir, "journal", "*.seg"))
	require.NoError(t, err)
	for _, f := range files {
		require.NoError(t, os.Truncate(f, 32)) // its head
	}
}

// loseNothing has three events accepted, one of them sealed, without a daemon.
func loseNothing(t *testing.T, dir string) {
	t.Helper()
	s, _, err := spool.Open(spool.Options{Dir: dir})
	require.NoError(t, err)
	e := events.Event{ServiceID: "1001", Transaction: threescale.Transaction{
		Application: threescale.Application{ID: "app2"}, Usage: threescale.Usage{{Metric: "hits", Value: 1}}, Timestamp: time.Now().Unix(),
	}}
	_, err = s.Append(t.Context(), []events.Event{e, e, e})
	require.NoError(t, err)
	cut, err := s.BeginCut(s.Committed() + 1)
	require.NoError(t, err)
	require.NoError(t, cut.Add(&spool.Batch{
		Lane: spool.LaneKey{ServiceID: "1001"}, Transactions: []spool.Transaction{{Transaction: e.Transaction, Events: 1}},
	}))
	require.NoError(t, cut.Commit(0))
	require.NoError(t, s.Close())
}
