package batcher

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// applications is how many a busy installation has in one window.
const applications = 100_000

// traffic makes one event of three metrics per application, in an order far from that of memory.
func traffic() []event.Event {
	events := make([]event.Event, applications)
	for i := range events {
		n := i * 70001 % applications
		events[i] = event.Event{ServiceID: "2555417"}
		events[i].Application.ID = fmt.Sprintf("%08x%08x", n*2654435761, n)
		events[i].Timestamp = noon + int64(n%60)
		events[i].Usage = threescale.Usage{{Metric: "hits", Value: 1}, {Metric: "transfer", Value: 512}, {Metric: "search", Value: 2}}
	}
	return events
}

// BenchmarkWindow adds events of known applications to the window. The figure B/key is what the window
// holds on to per application; the same is measured for the plain maps of BenchmarkPlainMaps.
func BenchmarkWindow(b *testing.B) {
	events := traffic()
	before := held()
	w := newWindow(true)
	for i := range events {
		w.add(&events[i])
	}
	perKey := float64(held()-before) / applications
	b.ReportAllocs()
	for i := 0; b.Loop(); i = (i + 1) % applications {
		w.add(&events[i])
	}
	runtime.KeepAlive(w)
	b.ReportMetric(perKey, "B/key")
}

// BenchmarkWindowNewKeys fills and empties the window.
func BenchmarkWindowNewKeys(b *testing.B) {
	events := traffic()
	w := newWindow(true)
	b.ReportAllocs()
	for i := 0; b.Loop(); i = (i + 1) % applications {
		if i == 0 {
			w.reset()
		}
		w.add(&events[i])
	}
}

// BenchmarkPlainMaps is the baseline: usage by application and metric, in nested maps, without minutes,
// lanes, counts of events or an order.
func BenchmarkPlainMaps(b *testing.B) {
	events := traffic()
	before := held()
	sums := map[string]map[string]uint64{}
	add := func(e *event.Event) {
		of, ok := sums[e.Application.ID]
		if !ok {
			of = map[string]uint64{}
			sums[strings.Clone(e.Application.ID)] = of
		}
		for _, u := range e.Usage {
			of[u.Metric] += u.Value
		}
	}
	for i := range events {
		add(&events[i])
	}
	perKey := float64(held()-before) / applications
	b.ReportAllocs()
	for i := 0; b.Loop(); i = (i + 1) % applications {
		add(&events[i])
	}
	runtime.KeepAlive(sums)
	b.ReportMetric(perKey, "B/key")
}

// BenchmarkSplit divides a window of 100 000 applications into batches, per transaction.
func BenchmarkSplit(b *testing.B) {
	w := newWindow(true)
	for _, e := range traffic() {
		w.add(&e)
	}
	all := w.queues[0].transactions
	for b.Loop() {
		total := 0
		_ = usual.split(headCost(w.queues[0].LaneKey), all, func(run []spool.Transaction, _ cost) error { total += len(run); return nil })
		if total != applications {
			b.Fatal(total)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/applications, "ns/transaction")
}

// held is what the heap holds on to, in bytes.
func held() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
