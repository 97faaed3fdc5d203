package nats

import "github.com/reporterd/reporterd/ingest"

// salvage sees a message of a stream through of which not every event can be taken. Its publisher was told that it is
// kept, so it is acknowledged only once every event is durable here: in the journal, or whole in a dead letter. Bad
// events are kept first: an error there sends the message back before any of it was counted.
func (w *worker) salvage(m *message) {
	s := w.bundle.Salvage(m.Message)
	err := s.Reject(func(r ingest.Rejected) error { return w.bus.bury(m.part(r), r.Why) })
	if err != nil {
		w.bus.postpone(m, letterRetry)
		return
	}
	for s.Next() {
		if !w.persist(s) {
			w.bus.held.release([]*message{m}) // the bus stops: the message is delivered again, and counts once by its ids
			return
		}
	}
	w.bus.counters.badEvents.Add(uint64(s.Refused()))
	if s.Taken() == 0 {
		w.bus.terminate(m)
		return
	}
	if s.Refused() > 0 {
		w.bus.counters.divided.Add(1)
	}
	w.bus.acknowledge([]*message{m})
}

// persist makes the events of a part durable. It tries again for as long as there is no room: part of the message may
// be durable already, and a delivery after dedupe.window would count that part twice. It returns false when the bus
// stops.
func (w *worker) persist(s *ingest.Salvage) bool {
	for w.bus.life.Err() == nil {
		_, refused := s.Append(w.bus.life)
		if refused == nil {
			return true
		}
		w.rest(refused.RetryAfter)
	}
	return false
}
