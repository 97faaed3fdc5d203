package ledger

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// outageApplications is how many transactions each of the batches has that are tried again and again.
const outageApplications = 5

// outage is a ledger and the one batch of each of eight services that a backend answers with 502.
func outage(t *testing.T) (*Ledger, *run, []*spool.Batch) {
	t.Helper()
	l, err := Open(Options{Dir: t.TempDir(), Keep: 100 * 24 * time.Hour})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	l.db.NoSync = true // an outage of a day in seconds
	r := &run{Ledger: l, next: 1}
	var batches []*spool.Batch
	for service := range 8 {
		b := &spool.Batch{ID: spool.BatchID{Position: spool.Position(service + 1)}, Lane: spool.LaneKey{ServiceID: fmt.Sprint(service)}, Sealed: benchFirst}
		for app := range outageApplications {
			b.Transactions = append(b.Transactions, spool.Transaction{Events: 1, Transaction: threescale.Transaction{
				Application: threescale.Application{ID: fmt.Sprintf("app%d", app)}, Timestamp: benchFirst.Unix(), Usage: threescale.Usage{{Metric: "hits", Value: 3}},
			}})
		}
		batches = append(batches, b)
		happens(t, r, spool.BatchSealed, b)
	}
	return l, r, batches
}

// happens books one thing that happened to batches, as one transaction of the database.
func happens(t *testing.T, r *run, kind spool.BatchEventKind, batches ...*spool.Batch) {
	t.Helper()
	r.gathered = r.gathered[:0]
	for _, b := range batches {
		r.gathered = append(r.gathered, spool.BatchEvent{Kind: kind, Batch: b})
	}
	r.next++
	require.NoError(t, r.commit(t.Context()))
}

// TestOutageOfADay: eight services whose reports are answered with 502 every 15 seconds for 24 hours. The ten-thousandth
// attempt costs what the first does, in memory and in bytes of the file, and every one of them is counted.
func TestOutageOfADay(t *testing.T) {
	l, r, batches := outage(t)
	type figures struct{ heap, file, allocated int64 }
	at := map[int]figures{}
	hour := int(time.Hour / (15 * time.Second))
	for attempt := 1; attempt <= 24*hour; attempt++ {
		var before, after runtime.MemStats
		measured := attempt == hour || attempt == 4*hour || attempt == 24*hour
		if measured {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
		happens(t, r, spool.BatchAmbiguous, batches...)
		if !measured {
			continue
		}
		runtime.ReadMemStats(&after)
		runtime.GC()
		var live runtime.MemStats
		runtime.ReadMemStats(&live)
		f := figures{heap: int64(live.HeapAlloc), allocated: int64(after.TotalAlloc - before.TotalAlloc)}
		require.NoError(t, l.view(func(tx *bbolt.Tx) error { f.file = tx.Size(); return nil }))
		at[attempt/hour] = f
		t.Logf("after %2d h: heap %d KiB, file %d KiB, one attempt of each service allocates %d KiB", attempt/hour, f.heap>>10, f.file>>10, f.allocated>>10)
	}
	assert.LessOrEqual(t, at[24].file, at[1].file+64<<10)
	assert.LessOrEqual(t, at[24].allocated, at[1].allocated*5/4)
	assert.LessOrEqual(t, at[24].heap, at[1].heap+1<<20)
	happens(t, r, spool.BatchEnded, batches...)
	n := 0
	require.NoError(t, l.Batches("", benchFirst, func(b *BatchRecord) error {
		n++
		assert.Equal(t, 24*hour, b.Ambiguous)
		require.Len(t, b.Cells, outageApplications)
		for _, c := range b.Cells {
			assert.EqualValues(t, 3, c.Delivered)
			assert.EqualValues(t, 3*24*hour, c.Ambiguous)
		}
		return nil
	}))
	assert.Equal(t, 8, n)
}

// TestLongEvidence: what an older version wrote, one copy of a batch's usage for each ambiguous report, reads the same, goes on
// being counted, and is written short when the batch ends.
func TestLongEvidence(t *testing.T) {
	l, r, batches := outage(t)
	b := batches[0]
	require.NoError(t, l.update(func(tx *bbolt.Tx) error {
		old := batchRow{service: find(tx, nameService, "0"), sealed: b.Sealed.Unix(), ambiguous: 1000}
		app, metric := find(tx, nameApplication, "app0"), find(tx, nameMetric, "hits")
		for range old.ambiguous {
			old.uses = append(old.uses, use{uint32(benchFirst.Unix() / 3600), app, []share{{metric, 0, 3}}})
		}
		data := old.encode()
		now, err := readState(tx)
		require.NoError(t, err)
		now.sealed, now.evidence = false, int64(len(data))
		require.NoError(t, now.write(tx))
		return tx.Bucket(bucketBatches).Put(batchKey(b.Sealed.Unix(), b.ID.String()), data)
	}))
	counted := func(ambiguous int) {
		t.Helper()
		require.NoError(t, l.Batches("0", benchFirst, func(r *BatchRecord) error {
			assert.Equal(t, ambiguous, r.Ambiguous)
			assert.EqualValues(t, 3*ambiguous, r.Cells[0].Ambiguous)
			return nil
		}))
	}
	counted(1000)
	happens(t, r, spool.BatchAmbiguous, b)
	happens(t, r, spool.BatchAmbiguous, b)
	counted(1002)
	happens(t, r, spool.BatchEnded, b)
	require.NoError(t, l.view(func(tx *bbolt.Tx) error {
		bytes := int64(0)
		require.NoError(t, tx.Bucket(bucketBatches).ForEach(func(_, v []byte) error { bytes += int64(len(v)); return nil }))
		assert.Less(t, bytes, int64(1000))
		assert.Equal(t, bytes, evidence(tx))
		return nil
	}))
}
