package ledger

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/reporterd/reporterd/spool"
)

// older makes of a ledger's file what an older version would have written: no checksums, the state in three values.
func older(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		now, err := readState(tx)
		require.NoError(t, err)
		for _, name := range upgradeBuckets {
			var keys, values [][]byte
			require.NoError(t, tx.Bucket(name).ForEach(func(k, v []byte) error {
				plain, err := unseal(k, v, true)
				keys, values = append(keys, bytes.Clone(k)), append(values, bytes.Clone(plain))
				return err
			}))
			for i, k := range keys {
				require.NoError(t, tx.Bucket(name).Put(k, values[i]))
			}
		}
		meta := tx.Bucket(bucketMeta)
		require.NoError(t, meta.Delete(keyState))
		require.NoError(t, meta.Put(keyEvidence, []byte{0, 0, 0, 0, 0, 0, 0, byte(now.evidence)}))
		return meta.Put(keyNext, []byte{0, 0, 0, 0, 0, 0, 0, byte(now.next)})
	}))
	require.NoError(t, db.Close())
}

// TestOlderFile: a file without checksums opens, answers the same, gets its checksums page by page beside the booking, and
// holds when it is read again.
func TestOlderFile(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(Options{Dir: dir, Keep: 100 * 24 * time.Hour})
	require.NoError(t, err)
	r := &run{Ledger: l, next: 1}
	for hour := range 30 {
		b := benchBatch(hour, 0, 20)
		happens(t, r, spool.BatchSealed, b)
		happens(t, r, spool.BatchEnded, b)
	}
	truth := answers(l)
	require.NoError(t, l.Close())
	older(t, filepath.Join(dir, fileName))

	l, err = Open(Options{Dir: dir, Keep: 100 * 24 * time.Hour})
	require.NoError(t, err)
	assert.False(t, l.Stats().Missed)
	assert.EqualValues(t, 61, l.Next())
	assert.Equal(t, truth, answers(l))
	r = &run{Ledger: l, next: 61}
	for n := 0; !r.upgrade.done; n++ {
		require.Less(t, n, 10)
		r.upgradeSome()
		assert.Equal(t, truth, answers(l))
	}
	require.Empty(t, l.Stats().Trouble)
	require.NoError(t, l.view(func(tx *bbolt.Tx) error {
		now, err := readState(tx)
		assert.True(t, now.sealed)
		return err
	}))
	require.NoError(t, l.Close())
	require.NoError(t, checkFile(context.Background(), filepath.Join(dir, fileName)))
}
