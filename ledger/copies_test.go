package ledger

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// ownersOf is a history in which each life is another owner's: it has the spool and the copy of the ledger, and no file.
func ownersOf(t *testing.T, seed uint64) *history {
	h := newHistory(t, seed)
	h.copies = disktest.New(disktest.Options{Seed: seed})
	require.NoError(t, h.copies.MkdirAll(copyDir, 0o700))
	require.NoError(t, h.copies.SyncDir("/"))
	h.crash()
	return h
}

// copyNow writes a copy, if there is something new.
func (h *history) copyNow() {
	h.ledger.copy.due = time.Time{}
	h.run.copySome(h.t.Context())
}

// TestHistoriesOfOwners: in every history, the next owner's ledger has each event once, though it has nothing but the copy of the one
// before and the batch log, and the copy's disk forgets what is not durable.
func TestHistoriesOfOwners(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			h := ownersOf(t, seed)
			for range 150 {
				switch h.rand.IntN(11) {
				case 0, 1, 2:
					h.seal()
				case 3, 4, 5, 6:
					h.end()
				case 7:
					h.requeue()
				case 8:
					h.book(h.rand.IntN(4) > 0)
				case 9:
					h.copyNow()
				case 10:
					if h.rand.IntN(4) == 0 {
						h.crash()
					}
				}
			}
			h.check()
			h.crash()
			h.check()
		})
	}
}

// TestCopyThatFails: the disk fails, or the power, at any point of writing a copy: the next owner has the ledger whole.
func TestCopyThatFails(t *testing.T) {
	t.Parallel()
	for _, after := range []int{1, 2, 3, 4, 5, 6, 8, 10} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			t.Parallel()
			h := ownersOf(t, uint64(after))
			for range 3 {
				h.seal()
				h.end()
			}
			h.bookOnce()
			h.copyNow()
			assert.Positive(t, h.ledger.copy.place)
			for range 3 {
				h.seal()
				h.end()
			}
			h.bookOnce()
			h.copies.StopAfter(after)
			h.copyNow()
			h.crash()
			h.check()
		})
	}
}

// TestCopyIsIncremental: a copy writes the blocks that have changed, and its files stay below twice the ledger's.
func TestCopyIsIncremental(t *testing.T) {
	t.Parallel()
	h := ownersOf(t, 1)
	size := func() (sum int64) {
		all, err := h.copies.ReadDir(copyDir)
		require.NoError(t, err)
		for _, e := range all {
			sum += e.Size
		}
		return sum
	}
	for range 20 {
		h.seal()
		h.end()
		h.bookOnce()
		h.copyNow()
		assert.LessOrEqual(t, size(), 2*h.ledger.copy.size+2*copyFile)
	}
	written := h.ledger.copy.last
	h.copyNow()
	assert.Equal(t, written, h.ledger.copy.last, "nothing new: nothing is written")
	h.crash()
	h.check()
}

// TestDamagedCopy: the next owner's ledger begins with what the log has, and says that it is incomplete.
func TestDamagedCopy(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"index", "0000000000000001.blocks"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := ownersOf(t, 2)
			h.appended("a")
			h.bookOnce()
			h.copyNow()
			f, err := h.copies.OpenFile(copyDir+"/"+name, os.O_RDWR, 0)
			require.NoError(t, err)
			_, err = f.WriteAt([]byte("damage"), 40)
			require.NoError(t, err)
			require.NoError(t, f.Sync())
			h.crash()
			assert.True(t, h.ledger.Stats().Missed)
			h.appended("b")
			h.bookOnce()
			assert.Positive(t, h.total().Accepted)
			h.copyNow()
			h.crash()
			assert.True(t, h.ledger.Stats().Missed, "the next copy says so, too")
			assert.Positive(t, h.total().Accepted)
		})
	}
}

// TestSpoolKeepsWhatTheCopyLacks: what is booked and not copied stays in the batch log.
func TestSpoolKeepsWhatTheCopyLacks(t *testing.T) {
	t.Parallel()
	h := ownersOf(t, 3)
	for i := range 200 {
		b := h.appended("a", "b")
		require.NoError(t, h.spool.Resolve(b.ID, spool.Resolution{At: h.begun, Delivered: []int{0, 1}}))
		if i%20 == 0 {
			h.bookOnce()
		}
	}
	h.crash()
	for range 100 {
		if h.book(true); h.ledger.Stats().Next >= h.spool.ChangesEnd() {
			break
		}
	}
	assert.False(t, h.ledger.Stats().Missed)
	assert.EqualValues(t, 400, h.total().Delivered)
}
