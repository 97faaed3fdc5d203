package nats

import (
	"time"

	"github.com/reporterd/reporterd/ingest"
)

// workers are how many goroutines a queue has. Two that append groups keep the disk busy while messages are
// read. Those that append one message at a time wait for the disk together: the journal commits them in one.
const (
	groupWorkers  = 2
	singleWorkers = 64
)

// worker takes messages from a queue and sees them through.
type worker struct {
	bus    *Bus
	queue  *queue
	most   int // messages of one Append
	bundle *ingest.Bundle
	group  []*message
	taken  []*message // of the group, in the bundle
	partly []*message // of the group, from a stream: not every event of theirs can be taken
}

// employ starts n workers, which end once the queue is closed and empty.
func (b *Bus) employ(q *queue, n, most int) {
	for range n {
		w := &worker{bus: b, queue: q, most: most, bundle: b.options.Handler.NewBundle()}
		b.working.Go(w.run)
	}
}

func (w *worker) run() {
	for {
		w.group = w.queue.take(w.group[:0], w.most)
		if len(w.group) == 0 {
			return
		}
		w.read()
		if len(w.taken) > 0 {
			w.append()
		}
		for _, m := range w.partly {
			w.salvage(m)
		}
		clear(w.group)
		clear(w.taken)
		clear(w.partly)
	}
}

// read puts the group into the bundle, without those that can never be taken.
func (w *worker) read() {
	w.bundle.Reset()
	w.taken, w.partly = w.taken[:0], w.partly[:0]
	for _, m := range w.group {
		events, refused := w.bundle.Add(m.Message)
		switch {
		case refused == nil:
			m.events = events
			w.taken = append(w.taken, m)
		case m.stream != nil:
			w.bus.counters.refused(refused.Status)
			w.partly = append(w.partly, m)
		default:
			w.bus.refuse(m, refused)
		}
	}
}

// append makes the bundle durable, and answers. Plain publishes that find no room are kept until there is,
// or the bus stops: nobody else would send them again.
func (w *worker) append() {
	duplicates, refused := w.bundle.Append(w.bus.life)
	for refused != nil && w.bus.life.Err() == nil {
		if w.taken = w.put(refused); len(w.taken) == 0 {
			w.rest(refused.RetryAfter)
			return
		}
		w.rest(refused.RetryAfter)
		duplicates, refused = w.bundle.Append(w.bus.life)
	}
	if refused != nil {
		w.bus.counters.dropped.Add(uint64(len(w.put(refused))))
		return
	}
	w.bus.done(w.taken, duplicates)
}

// put tells who can come again to do so, and returns the plain publishes. A queue holds only one kind.
func (w *worker) put(refused *ingest.Refusal) (plain []*message) {
	for _, m := range w.taken {
		if m.stream == nil && m.reply == "" {
			return w.taken
		}
		w.bus.later(m, refused)
	}
	return nil
}

// Bounds of how long a worker waits after the journal had no room: it may have at any moment.
const (
	minRest = 100 * time.Millisecond
	maxRest = 2 * time.Second
)

// rest waits, or until the bus stops. Whoever has an answer of its own need not.
func (w *worker) rest(d time.Duration) {
	if w.queue == w.bus.requests {
		return
	}
	select {
	case <-time.After(min(max(d, minRest), maxRest)):
	case <-w.bus.life.Done():
	}
}
