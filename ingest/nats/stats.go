package nats

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/ingest"
)

// Stats is what a Bus has done since it was opened. The figures are read one after the other.
type Stats struct {
	Connected bool              `json:"connected"`
	Losses    uint64            `json:"connections_lost"`
	Waiting   int               `json:"waiting"` // messages taken in and not yet durable or refused
	Refused   map[string]uint64 `json:"refused"` // messages that can never be taken or answered, by reason
	Letters   uint64            `json:"dead_letters"`
	Unkept    uint64            `json:"unkept"`  // refused publishes that could not be written down
	Dropped   uint64            `json:"dropped"` // plain publishes there was no room for
	Stream    StreamStats       `json:"stream"`
}

// StreamStats is what became of messages of a stream.
type StreamStats struct {
	Acknowledged uint64 `json:"acknowledged"` // and the server said so
	Unconfirmed  uint64 `json:"unconfirmed"`  // acknowledged, and nobody knows whether that arrived
	Postponed    uint64 `json:"postponed"`    // sent back for want of room
	Terminated   uint64 `json:"terminated"`   // no event of theirs could be taken: all of it is in dead letters
	Divided      uint64 `json:"divided"`      // acknowledged, but some of their events are in dead letters
	Redelivered  uint64 `json:"redelivered"`  // that came again
	BadEvents    uint64 `json:"bad_events"`   // events of these messages that are in dead letters
}

type counters struct {
	letters, unkept, dropped                                      atomic.Uint64
	acknowledged, unconfirmed, postponed, terminated, redelivered atomic.Uint64

	divided, badEvents atomic.Uint64

	malformed, large, typed, invalid, unanswerable atomic.Uint64
}

func (c *counters) refused(status int) {
	switch status {
	case http.StatusBadRequest:
		c.malformed.Add(1)
	case http.StatusRequestEntityTooLarge:
		c.large.Add(1)
	case http.StatusUnsupportedMediaType:
		c.typed.Add(1)
	default:
		c.invalid.Add(1)
	}
}

// Stats returns the figures so far. It may be called at any time.
func (b *Bus) Stats() Stats {
	c := &b.counters
	s := Stats{
		Connected: b.link.up.Load(), Losses: b.link.losses.Load(),
		Letters: c.letters.Load(), Unkept: c.unkept.Load(), Dropped: c.dropped.Load(),
		Refused: map[string]uint64{
			"malformed_message": c.malformed.Load(), "message_too_large": c.large.Load(),
			"message_type": c.typed.Load(), "invalid_message": c.invalid.Load(),
			"reply_subject": c.unanswerable.Load(),
		},
		Stream: StreamStats{
			Acknowledged: c.acknowledged.Load(), Unconfirmed: c.unconfirmed.Load(), Postponed: c.postponed.Load(),
			Terminated: c.terminated.Load(), Divided: c.divided.Load(), BadEvents: c.badEvents.Load(), Redelivered: c.redelivered.Load(),
		},
	}
	for _, q := range []*queue{b.requests, b.publishs, b.stream} {
		n, _ := q.size()
		s.Waiting += n
	}
	return s
}

var errOverrun = errors.New("nats: they come faster than they can be kept")

// busy is the answer to a request that finds too many others.
var busy = ingest.Busy(time.Second)
