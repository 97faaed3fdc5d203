package batcher

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
)

// withoutEnd makes a data directory of five accepted events, the last three of which are gone, as a loss of power may have
// it with sync: never: the batch log knows of them, the journal does not.
func withoutEnd(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s, _, err := spool.Open(spool.Options{Dir: dir})
	require.NoError(t, err)
	var events []event.Event
	for range 5 {
		events = append(events, *used(noon, hits(1)))
	}
	_, err = s.Append(t.Context(), events)
	require.NoError(t, err)
	cut, err := s.BeginCut(2)
	require.NoError(t, err)
	require.NoError(t, cut.Add(&spool.Batch{
		Lane: spool.LaneKey{ServiceID: "1"}, Transactions: []spool.Transaction{{Transaction: events[0].Transaction, Events: 2}},
	}))
	require.NoError(t, cut.Commit(0))
	require.NoError(t, s.Close())
	files, err := filepath.Glob(filepath.Join(dir, "journal", "*.seg"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.NoError(t, os.Truncate(files[0], 32)) // its head
	return dir
}

// What the disk lost at the end of the journal is not waited for: neither by who flushes nor at the stop.
func TestLostEndIsNotWaitedFor(t *testing.T) {
	onDisk(t, withoutEnd(t), nil, Options{}, func(w *world) {
		require.Equal(t, spool.Counts{Accepted: 5, Pending: 2, Lost: 3}, w.spool.Counts())
		flushed := make(chan error, 1)
		go func() {
			_, err := w.batcher.Flush(w.t.Context())
			flushed <- err
		}()
		w.wait(time.Hour)
		select {
		case err := <-flushed:
			assert.NoError(t, err)
		default:
			t.Error("Flush is still waiting")
		}
		began := time.Now()
		assert.NoError(t, w.stop())
		assert.Zero(t, time.Since(began))
	})
}
