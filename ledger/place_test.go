package ledger

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/reporterd/reporterd/spool"
)

// loseEnd takes the last bytes of the batch log away, as a disk that lied or a backup does. The journal stays.
func (h *history) loseEnd(bytes int64) {
	h.t.Helper()
	require.NoError(h.t, h.run.feed.Close())
	require.NoError(h.t, h.ledger.Close())
	require.NoError(h.t, h.spool.Close())
	files, err := filepath.Glob(filepath.Join(h.dir, "batches", "*.seg"))
	require.NoError(h.t, err)
	file := files[len(files)-1]
	info, err := os.Stat(file)
	require.NoError(h.t, err)
	require.NoError(h.t, os.Truncate(file, max(32, info.Size()-bytes)))
}

func (h *history) total() (f Figures) {
	require.NoError(h.t, h.ledger.Rows(Query{Raw: true, AllApplications: true}, func(r *Row) error { f.add(r.Figures); return nil }))
	return f
}

// The place that the spool is told of is durable: a transaction of this process wrote the page that names it.
func TestAnchorWritesBeforeItTellsTheSpool(t *testing.T) {
	h := newHistory(t, 5)
	h.appended("a")
	h.bookOnce()
	last := h.transactions()
	h.crash()
	assert.Greater(t, h.transactions(), last)
}

// transactions returns how many write transactions the file has seen.
func (h *history) transactions() (id int) {
	require.NoError(h.t, h.ledger.view(func(tx *bbolt.Tx) error { id = tx.ID(); return nil }))
	return id
}

// TestLogWithoutItsEnd: what is sealed again behind a lost end is counted again, and the ledger says that it is not to be
// trusted; what it had booked is not booked a second time.
func TestLogWithoutItsEnd(t *testing.T) {
	for name, c := range map[string]struct{ again, manifest bool }{
		"shorter than what was booked": {false, true}, "more is written behind the lost end": {true, true},
		"shorter, and no manifest": {false, false}, "its numbers are used again": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory(t, 5)
			first := h.appended("a", "b")
			h.bookOnce()
			require.NoError(t, h.spool.Resolve(first.ID, spool.Resolution{At: h.begun, Delivered: []int{0, 1}}))
			h.bookOnce()
			h.appended("c", "d", "e")
			h.bookOnce()
			booked := h.total()
			assert.EqualValues(t, 5, booked.Accepted)
			require.False(t, h.ledger.Stats().Missed)
			h.loseEnd(200)
			if !c.manifest {
				for _, name := range []string{"manifest.a", "manifest.b"} {
					require.NoError(t, os.Remove(filepath.Join(h.dir, name)))
				}
			}
			if c.again { // before the ledger looks, as many records as were lost
				s, _, err := spool.Open(spool.Options{Dir: h.dir, SegmentBytes: 8 << 10, Sync: spool.Never, KeepChanges: true})
				require.NoError(t, err)
				h.spool = s
				for s.ChangesEnd() < h.ledger.Next()+12 {
					h.appended("f")
				}
				require.NoError(t, s.Close())
			}
			h.open()
			assert.True(t, h.ledger.Stats().Missed, "said at once")
			before := h.total()
			assert.Equal(t, booked, before, "not yet booked again")
			h.appended("g")
			h.bookOnce()
			assert.Positive(t, h.total().Accepted-before.Accepted, "it goes on")
			h.crash()
			assert.True(t, h.ledger.Stats().Missed)
			require.NoError(t, h.ledger.Close())
			require.NoError(t, h.spool.Close())
		})
	}
}

// TestPlaceHolds: a log that is as it was marks nothing, also when the frame before the place is gone.
func TestPlaceHolds(t *testing.T) {
	h := newHistory(t, 6)
	for range 30 {
		b := h.appended("a", "b")
		require.NoError(t, h.spool.Resolve(b.ID, spool.Resolution{At: h.begun, Delivered: []int{0, 1}}))
		h.bookOnce()
		h.crash()
	}
	assert.False(t, h.ledger.Stats().Missed)
	assert.EqualValues(t, 60, h.total().Delivered)
	require.NoError(t, h.ledger.Close())
	require.NoError(t, h.spool.Close())
}
