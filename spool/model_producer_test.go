package spool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// patience bounds every call, in the time of the bubble, which passes only when nothing else happens:
// a producer that waits longer waits for ever.
const patience = time.Minute

// producer sends events, and sends those with an id again when it has no answer, or for no reason.
type producer struct {
	book *book
	rng  *rand.Rand
	disk platform
	huge bool // some events are so large that a cut of them is not one write
}

// step is one request.
func (p *producer) step(ctx context.Context, s *spool.Spool) {
	var entries []*entry
	for range 1 + p.rng.IntN(4) {
		e := p.again(entries)
		if e == nil {
			e = p.book.write(p.compose)
		}
		entries = append(entries, e)
	}
	p.send(ctx, s, entries)
}

// again returns an event to send once more, or nil.
func (p *producer) again(entries []*entry) *entry {
	switch p.rng.IntN(12) {
	case 0, 1, 2:
		return p.book.identified(p.rng.IntN(1 << 20))
	case 3:
		if len(entries) > 0 && entries[0].event.ID != "" {
			return entries[0] // twice in one request
		}
	}
	return nil
}

// send appends the events and books the answer.
func (p *producer) send(ctx context.Context, s *spool.Spool, entries []*entry) {
	events := make([]event.Event, len(entries))
	for k, e := range entries {
		events[k] = e.event
	}
	limit := patience
	if _, real := p.disk.(*shared); p.rng.IntN(20) == 0 && !real {
		limit = time.Nanosecond // the client goes away
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r := p.book.sending(entries)
	duplicates, err := s.Append(ctx, events)
	p.book.answered(r, duplicates, err)
	if limit == patience && errors.Is(err, context.DeadlineExceeded) {
		p.book.fault("Append hangs")
	}
	clear(events) // nothing of them may be retained
}

// compose makes an event that is unique wherever it appears: the serial is in its
// only metric's name and value, or in the application's id when it uses nothing.
func (p *producer) compose(serial int) event.Event {
	e := event.Event{ServiceID: fmt.Sprint(1001 + p.rng.IntN(2))}
	e.Timestamp = 1_700_000_000 + int64(p.rng.IntN(3600))
	if p.rng.IntN(2) == 0 {
		e.ID = fmt.Sprintf("id-%d", serial)
	}
	if p.rng.IntN(8) == 0 {
		e.Credentials = threescale.Credentials{ServiceToken: "token"}
	}
	if p.rng.IntN(12) == 0 {
		e.Application.ID = fmt.Sprintf("n%06d", serial)
		return e
	}
	e.FlatUsage = p.rng.IntN(10) == 0
	if p.rng.IntN(6) == 0 {
		e.Application.UserKey = fmt.Sprintf("key%d", p.rng.IntN(3))
	} else {
		e.Application.ID = fmt.Sprintf("app%d", p.rng.IntN(3))
	}
	if p.rng.IntN(6) == 0 {
		e.Code = 200
	}
	padding := p.rng.IntN(30)
	if p.rng.IntN(10) == 0 {
		padding = p.rng.IntN(1500) // over several sectors
	}
	if p.huge && p.rng.IntN(3) == 0 {
		padding = p.rng.IntN(300 << 10)
	}
	metric := fmt.Sprintf("e%06d", serial) + strings.Repeat("x", padding)
	e.Usage = threescale.Usage{{Metric: metric, Value: uint64(serial) + 1}}
	return e
}
