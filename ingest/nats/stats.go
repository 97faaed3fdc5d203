package nats

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/ingest"
)

// Stats are figures since Open. They are read one after the other, not as one snapshot.
type Stats struct {
	Connected   bool              `json:"connected"`
	Losses      uint64            `json:"connections_lost"`
	Waiting     int               `json:"waiting"` // messages received and not yet durable or refused
	Refused     map[string]uint64 `json:"refused"` // messages that can never be taken, or answered, by reason
	DeadLetters uint64            `json:"dead_letters"`
	Unkept      uint64            `json:"unkept"`  // refused publishes that could not be written as dead letters
	Dropped     uint64            `json:"dropped"` // plain publishes that found the queue full
	Stream      StreamStats       `json:"stream"`
}

// StreamStats count messages of a stream by outcome.
type StreamStats struct {
	Acknowledged uint64 `json:"acknowledged"` // and confirmed by the server
	Unconfirmed  uint64 `json:"unconfirmed"`  // acknowledged, without a confirmation
	Postponed    uint64 `json:"postponed"`    // to be delivered again later, since the spool was full
	Terminated   uint64 `json:"terminated"`   // kept as dead letters as a whole
	Divided      uint64 `json:"divided"`      // acknowledged, but some of their events are in dead letters
	Redelivered  uint64 `json:"redelivered"`  // delivered more than once
	BadEvents    uint64 `json:"bad_events"`   // events of these messages that are in dead letters
}

type counters struct {
	letters, unkept, dropped                                      atomic.Uint64
	acknowledged, unconfirmed, postponed, terminated, redelivered atomic.Uint64

	divided, badEvents atomic.Uint64

	malformed, large, typed, invalid, unanswerable, overRate, unauthorized atomic.Uint64
}

func (c *counters) refused(status int) {
	switch status {
	case http.StatusBadRequest:
		c.malformed.Add(1)
	case http.StatusRequestEntityTooLarge:
		c.large.Add(1)
	case http.StatusUnsupportedMediaType:
		c.typed.Add(1)
	case http.StatusTooManyRequests:
		c.overRate.Add(1)
	case http.StatusUnauthorized:
		c.unauthorized.Add(1)
	default:
		c.invalid.Add(1)
	}
}

// Stats returns the figures so far. It may be called at any time.
func (b *Bridge) Stats() Stats {
	c := &b.counters
	s := Stats{
		Connected: b.state.up.Load(), Losses: b.state.losses.Load(),
		DeadLetters: c.letters.Load(), Unkept: c.unkept.Load(), Dropped: c.dropped.Load(),
		Refused: map[string]uint64{
			"malformed_message": c.malformed.Load(), "message_too_large": c.large.Load(),
			"message_type": c.typed.Load(), "invalid_message": c.invalid.Load(),
			"reply_subject": c.unanswerable.Load(), "rate": c.overRate.Load(), "unauthorized": c.unauthorized.Load(),
		},
		Stream: StreamStats{
			Acknowledged: c.acknowledged.Load(), Unconfirmed: c.unconfirmed.Load(), Postponed: c.postponed.Load(),
			Terminated: c.terminated.Load(), Divided: c.divided.Load(), BadEvents: c.badEvents.Load(), Redelivered: c.redelivered.Load(),
		},
	}
	for _, q := range []*queue{b.requests, b.publishes, b.stream} {
		n, _ := q.size()
		s.Waiting += n
	}
	return s
}

var errOverrun = errors.New("nats: plain publishes arrive faster than they can be written")

// busy is the answer to a request while the queue is full.
var busy = ingest.Busy(time.Second)
