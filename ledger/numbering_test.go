package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// gatherApplications gathers a sealed batch of some applications, which need not be new.
func (r *run) gatherApplications(position, first, n int) {
	batch := &spool.Batch{ID: spool.BatchID{Position: spool.Position(position)}, Lane: spool.LaneKey{ServiceID: "1001"}, Sealed: benchFirst}
	for i := range n {
		batch.Transactions = append(batch.Transactions, spool.Transaction{Events: 1, Transaction: threescale.Transaction{
			Application: threescale.Application{ID: fmt.Sprintf("%08x", uint32(first+i)*2654435761)}, Timestamp: benchFirst.Unix(), Usage: threescale.Usage{{Metric: "hits", Value: 1}},
		}})
	}
	r.gathered = append(r.gathered[:0], spool.BatchEvent{Kind: spool.BatchSealed, Batch: batch})
}

func namesOf(t *testing.T, l *Ledger) (n int) {
	require.NoError(t, l.view(func(tx *bbolt.Tx) error {
		n = tx.Bucket(bucketNames).Stats().KeyN
		return nil
	}))
	return n
}

// TestNewNamesComeInOrder: names get their numbers in the order of the tree and in bounded transactions; each of these is durable, so
// that a stop between two of them costs nothing, and the next start goes on where it was.
func TestNewNamesComeInOrder(t *testing.T) {
	t.Parallel()
	o := Options{Dir: t.TempDir(), Keep: 100 * 24 * time.Hour}
	l, err := Open(o)
	require.NoError(t, err)
	r := &run{Ledger: l}
	r.gatherApplications(1, 0, namesAtOnce+5000)
	sorted := r.names.unknown(r)
	assert.True(t, slices.IsSortedFunc(sorted, name.compare))
	assert.Len(t, sorted, namesAtOnce+5002, "with the service and the metric")
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, r.update(func(tx *bbolt.Tx) error { return r.names.assign(tx, sorted[:namesAtOnce]) }))
	cancel()
	require.ErrorIs(t, r.commit(ctx), context.Canceled)
	require.NoError(t, l.Close())
	require.NoError(t, checkFile(t.Context(), l.path()), "a stop leaves a whole file")

	l, err = Open(o)
	require.NoError(t, err)
	defer l.Close()
	assert.Equal(t, namesAtOnce, namesOf(t, l))
	next := &run{Ledger: l, gathered: r.gathered}
	require.NoError(t, next.commit(t.Context()))
	assert.Equal(t, len(sorted), namesOf(t, l))
	again := &run{Ledger: l, gathered: r.gathered}
	assert.ErrorIs(t, l.update(func(tx *bbolt.Tx) error { return again.names.assign(tx, sorted[:100]) }), errNothingNew)
}

// TestNumberingDoesNotGrow: the same number of new names takes as many pages of the database, where it knows twice as many names in
// another part of their order; the work for one name follows the depth of the tree.
func TestNumberingDoesNotGrow(t *testing.T) {
	t.Parallel()
	work := func(known int) float64 {
		l, err := Open(Options{Dir: t.TempDir(), Keep: 100 * 24 * time.Hour})
		require.NoError(t, err)
		defer l.Close()
		r := &run{Ledger: l}
		r.gatherApplications(1, 0, known)
		_, err = r.numberNames(t.Context())
		require.NoError(t, err)
		var fresh []name
		for i := range 5000 {
			fresh = append(fresh, name{nameApplication, fmt.Sprintf("z%04d", i)})
		}
		before := l.db.Stats()
		require.NoError(t, l.update(func(tx *bbolt.Tx) error { return r.names.assign(tx, fresh) }))
		after := l.db.Stats()
		made := after.Sub(&before)
		return float64(made.TxStats.GetPageCount() + made.TxStats.GetNodeCount() + made.TxStats.GetNodeDeref())
	}
	small, large := work(10_000), work(20_000)
	t.Logf("%.0f pages and nodes with 10,000 names, %.0f with 20,000", small, large)
	assert.LessOrEqual(t, large, small*1.1)
}

// TestNewApplicationsTakeFewLookups: a new application is looked for with one cursor for all of them, and put into three buckets. What
// is known already keeps its figures, in the same transaction.
func TestNewApplicationsTakeFewLookups(t *testing.T) {
	t.Parallel()
	l, err := Open(Options{Dir: t.TempDir(), Keep: 100 * 24 * time.Hour})
	require.NoError(t, err)
	defer l.Close()
	r := &run{Ledger: l}
	const known, all = 1000, 5000
	r.gatherApplications(1, 0, known)
	require.NoError(t, r.commit(t.Context()))
	before := l.db.Stats()
	r.gathered = nil
	r.gatherApplications(1, 0, all)
	require.NoError(t, r.commit(t.Context()))
	after := l.db.Stats()
	made := after.Sub(&before)
	lookups := float64(made.TxStats.GetCursorCount()-known) / (all - known)
	t.Logf("%.2f cursors for each new application", lookups)
	assert.LessOrEqual(t, lookups, 3.5, "two for its name, one for its row")
	assert.Equal(t, known+all, acceptedOf(t, l))
}

// TestRowsOfNewApplicationsAreMerged: what was booked of an application in the transaction that followed its number is found when a name
// of its user key is merged with it.
func TestRowsOfNewApplicationsAreMerged(t *testing.T) {
	t.Parallel()
	l, err := Open(Options{Dir: t.TempDir(), Keep: 100 * 24 * time.Hour})
	require.NoError(t, err)
	defer l.Close()
	r := &run{Ledger: l, next: 1}
	for i, app := range []threescale.Application{{ID: "first"}, {UserKey: "key"}, {ID: "app"}} {
		r.gathered = []spool.BatchEvent{{Kind: spool.BatchSealed, Batch: keyed(i+1, 0, app)}}
		require.NoError(t, r.commit(t.Context()))
	}
	l.Learn("1001", hashed("key"), "app")
	require.NoError(t, r.storeAliases(t.Context()))
	assert.Equal(t, 3, acceptedOf(t, l))
}

// acceptedOf sums up what all applications were accepted for.
func acceptedOf(t *testing.T, l *Ledger) (sum int) {
	require.NoError(t, l.view(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketDays).ForEach(func(key, value []byte) error {
			if binary.BigEndian.Uint32(key[8:]) == 0 {
				return nil // the row of all applications together
			}
			data, err := unseal(key, value, true)
			require.NoError(t, err)
			return eachCell(data, func(c *cell) { sum += int(c.Accepted) })
		})
	}))
	return sum
}
