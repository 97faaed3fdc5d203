package ledger

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// bookAll books until nothing is left, or the deadline.
func (h *history) bookAll() {
	h.t.Helper()
	for range 100 {
		if h.ledger.Stats().Next >= h.spool.ChangesEnd() && h.run.next == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Millisecond)
		if h.run.gather(ctx); h.run.next > 0 {
			h.run.book(h.t.Context())
		}
		cancel()
	}
	h.t.Fatal("the ledger does not catch up")
}

// A file that is overwritten beneath the ledger ends nothing: it is set aside, a new one is made, and what the log
// still holds is booked there.
func TestDamageWhileOpen(t *testing.T) {
	h := newHistory(t, 7)
	for range 3 {
		h.seal()
	}
	h.bookAll()
	file := filepath.Join(h.dir, fileName)
	info, err := os.Stat(file)
	require.NoError(t, err)
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, int(info.Size())-8192), 8192) // all but the two pages that lead to the rest
	require.NoError(t, err)
	require.NoError(t, f.Close())
	h.seal()
	h.bookAll()
	aside, err := filepath.Glob(file + ".damaged-*")
	require.NoError(t, err)
	assert.Len(t, aside, 1)
	assert.True(t, h.ledger.Stats().Missed)
	booked := 0
	require.NoError(t, h.ledger.Rows(Query{Raw: true, AllApplications: true}, func(r *Row) error { booked += int(r.Accepted); return nil }))
	assert.Positive(t, booked, "what the log still holds")
	require.NoError(t, h.ledger.Close())
	require.NoError(t, h.spool.Close())
}

// A row that makes no sense costs that row, is not in silence, and holds up nothing.
func TestDamagedRow(t *testing.T) {
	h := newHistory(t, 8)
	h.seal()
	h.bookAll()
	require.NoError(t, h.ledger.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketDays)
		k, _ := b.Cursor().First()
		return b.Put(bytes.Clone(k), []byte{0xff})
	}))
	for range 4 {
		h.seal()
	}
	h.bookAll()
	assert.True(t, h.ledger.Stats().Missed)
	assert.Empty(t, h.ledger.Stats().Trouble)
	require.NoError(t, h.ledger.Close())
	require.NoError(t, h.spool.Close())
}

// What single batches added goes before any day does.
func TestEvidenceIsBounded(t *testing.T) {
	h := newHistory(t, 9)
	for range 20 {
		h.seal()
		h.end()
	}
	h.bookAll()
	count := func() (n int) {
		require.NoError(t, h.ledger.view(func(tx *bbolt.Tx) error { n = tx.Bucket(bucketBatches).Stats().KeyN; return nil }))
		return n
	}
	all := count()
	require.Positive(t, all)
	var size int64
	require.NoError(t, h.ledger.view(func(tx *bbolt.Tx) error {
		size = evidence(tx)
		sum := int64(0)
		err := tx.Bucket(bucketBatches).ForEach(func(_, v []byte) error { sum += int64(len(v)); return nil })
		assert.Equal(t, sum, size, "the sum that is kept is that of the batches")
		return err
	}))
	h.ledger.options.MaxBytes = size * evidencePart / 2
	h.run.dropEvidence(t.Context(), batchKey(0, ""))
	assert.Less(t, count(), all)
	assert.Positive(t, count())
	require.NoError(t, h.ledger.view(func(tx *bbolt.Tx) error { assert.LessOrEqual(t, evidence(tx), size/2+1); return nil }))
	require.NoError(t, h.ledger.Close())
	require.NoError(t, h.spool.Close())
}
