package spool

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/stretchr/testify/assert"
)

// An outage leaves many batches behind; what is kept of each is small.
func TestIndexIsSmall(t *testing.T) {
	const count = 20_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := newIndex(&counters{})
	s := &wal.Segment{}
	for i := range count {
		e := x.describe(&Batch{ID: BatchID{Position: Position(i)}, Lane: LaneKey{ServiceID: fmt.Sprint(i % 100)}, Sealed: time.Now(), OldestAccepted: time.Now()})
		x.apply(&record{kind: recordBatch, cut: 1, entry: e}, s, 0)
		x.apply(&record{kind: recordCut, cut: 1, upTo: Position(i)}, s, 0)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	perBatch := float64(after.HeapAlloc-before.HeapAlloc) / count
	t.Logf("%.0f bytes a batch", perBatch)
	assert.Less(t, perBatch, 300.0)
	assert.Len(t, x.live, count)
}
