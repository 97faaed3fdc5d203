package nats

import "github.com/reporterd/reporterd/ingest"

// split takes the good events of a stream's message that has bad ones. The stream has acknowledged the message to its
// publisher, so it is acknowledged to the stream only once every event is durable: in the journal, or whole in a dead letter.
// Bad events are written first: an error there postpones the message before any of its events was counted.
func (w *worker) split(m *message) {
	s := w.bundle.Split(m.Message)
	err := s.Reject(func(r ingest.Rejected) error { return w.bridge.writeDeadLetter(m.part(r), r.Why) })
	if err != nil {
		w.bridge.postpone(m, letterRetry)
		return
	}
	for s.Next() {
		if !w.persist(s) {
			w.bridge.inFlight.remove([]*message{m}) // the bridge stops: the message is delivered again, and counts once by its ids
			return
		}
	}
	w.bridge.counters.badEvents.Add(uint64(s.Refused()))
	if s.Taken() == 0 {
		w.bridge.terminate(m)
		return
	}
	if s.Refused() > 0 {
		w.bridge.counters.divided.Add(1)
	}
	w.bridge.acknowledge([]*message{m})
}

// persist makes the events of a part durable. While the spool is full it retries: a part of the message may be durable
// already, and a redelivery after dedupe.window would count that part twice. It returns false when the bridge stops.
func (w *worker) persist(s *ingest.Splitter) bool {
	for w.bridge.ctx.Err() == nil {
		_, refused := s.Append(w.bridge.ctx)
		if refused == nil {
			return true
		}
		w.pause(refused.RetryAfter)
	}
	return false
}
