package nats

import (
	"time"

	"github.com/reporterd/reporterd/ingest"
)

// How many goroutines take messages from a queue. Two that append groups keep the disk busy while messages are decoded.
// Those that append one message at a time wait for the disk together: the journal makes them durable with one sync.
const (
	groupWorkers  = 2
	singleWorkers = 64
)

// worker is one goroutine that takes messages from a queue, decodes them, appends them and answers.
type worker struct {
	bridge  *Bridge
	queue   *queue
	most    int // messages of one Append
	bundle  *ingest.Bundle
	group   []*message
	taken   []*message // messages of group whose events are in the bundle
	partial []*message // messages of group, from a stream, with bad events
}

// startWorkers starts n workers. They end once the queue is closed and empty.
func (b *Bridge) startWorkers(q *queue, n, most int) {
	for range n {
		w := &worker{bridge: b, queue: q, most: most, bundle: b.options.Handler.NewBundle()}
		b.workers.Go(w.run)
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
		for _, m := range w.partial {
			w.split(m)
		}
		clear(w.group)
		clear(w.taken)
		clear(w.partial)
	}
}

// read decodes the group into the bundle, without messages that can never be taken.
func (w *worker) read() {
	w.bundle.Reset()
	w.taken, w.partial = w.taken[:0], w.partial[:0]
	for _, m := range w.group {
		events, refused := w.bundle.Add(m.Message)
		switch {
		case refused == nil:
			m.events = events
			w.taken = append(w.taken, m)
		case m.stream != nil:
			w.bridge.counters.refused(refused.Status)
			w.partial = append(w.partial, m)
		default:
			w.bridge.refuse(m, refused)
		}
	}
}

// append makes the bundle durable, and answers. Plain publishes are retried while the spool is full, until the bridge stops:
// their senders would not send them again.
func (w *worker) append() {
	duplicates, refused := w.bundle.Append(w.bridge.ctx)
	for refused != nil && w.bridge.ctx.Err() == nil {
		if w.taken = w.postpone(refused); len(w.taken) == 0 {
			w.pause(refused.RetryAfter)
			return
		}
		w.pause(refused.RetryAfter)
		duplicates, refused = w.bundle.Append(w.bridge.ctx)
	}
	if refused != nil {
		w.bridge.counters.dropped.Add(uint64(len(w.postpone(refused))))
		return
	}
	w.bridge.confirm(w.taken, duplicates)
}

// postpone asks for requests and stream messages to be sent again, and returns plain publishes. A queue holds only one kind.
func (w *worker) postpone(refused *ingest.Refusal) (plain []*message) {
	for _, m := range w.taken {
		if m.stream == nil && m.reply == "" {
			return w.taken
		}
		w.bridge.askToRetry(m, refused)
	}
	return nil
}

// Bounds of the wait after the journal was full.
const (
	minPause = 100 * time.Millisecond
	maxPause = 2 * time.Second
)

// pause waits for d, within the bounds, or until the bridge stops. Workers of requests need not wait: each was answered.
func (w *worker) pause(d time.Duration) {
	if w.queue == w.bridge.requests {
		return
	}
	select {
	case <-time.After(min(max(d, minPause), maxPause)):
	case <-w.bridge.ctx.Done():
	}
}
