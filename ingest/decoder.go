package ingest

import (
	"fmt"
	"time"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

// decoder turns one request body into events. It decodes an event with scan, and with refDecode where scan gives up. Only
// refDecode reports faults, so that there is one wording for each.
//
// The events' strings are views into body, and their usages share one array: they are valid until the decoder is used again.
// It is not safe for concurrent use.
type decoder struct {
	body      []byte
	services  *services
	accepted  time.Time // when the request came in
	now       int64     // the same in Unix seconds
	maxEvents int
	stamp     int64         // Unix seconds, of events without a timestamp; 0: they must have one
	named     string        // the service that a message's subject names, which its events may leave out; empty: none
	grant     *access.Grant // of the sender; nil: it may send for any service
	slow      bool          // never use scan; for tests and benchmarks of refDecode

	events []event.Event
	first  int                    // the index in events of the first one of body; before it are those of other messages
	usage  []threescale.Increment // backs every Usage in events
	faults faults
	last   *service // the service of the event before, which is mostly the next one's, too
	barred bool     // an event is for a service that the grant does not include
}

// reset makes d ready for the body of another request, whose caller sets d.body.
func (d *decoder) reset(s *services, now time.Time, maxEvents int) {
	clear(d.events)
	clear(d.usage)
	d.events, d.usage = d.events[:0], d.usage[:0]
	d.faults = faults{}
	d.last, d.barred = nil, false
	d.first = 0
	d.services, d.maxEvents = s, maxEvents
	d.accepted, d.now = now, now.Unix()
	d.stamp, d.named = d.now, ""
}

// malformed is a body that is not of its content type: 400.
type malformed struct {
	offset int // where in the body, in bytes
	detail string
}

func (m *malformed) Error() string { return fmt.Sprintf("byte %d: %s", m.offset, m.detail) }

// tooMany is a body of more events than one request may carry: 413.
type tooMany struct{ max int }

func (t *tooMany) Error() string { return fmt.Sprintf("more than %d events in one request", t.max) }

// decode reads one event or an array of events. The error is *malformed or *tooMany; events that are
// well-formed but wrong are in d.faults.
func (d *decoder) decode() error {
	i := space(d.body, 0)
	if i == len(d.body) {
		return &malformed{i, "the body is empty"}
	}
	var err error
	if d.body[i] == '[' {
		i, err = d.array(i)
	} else {
		i, err = d.event(i)
	}
	if err != nil {
		return err
	}
	if i = space(d.body, i); i != len(d.body) {
		return &malformed{i, "more follows after the end of the JSON value"}
	}
	return nil
}

// array reads the events of an array whose bracket opens at i, and returns where it ends.
func (d *decoder) array(i int) (end int, err error) {
	i = space(d.body, i+1)
	if i < len(d.body) && d.body[i] == ']' {
		return i + 1, nil
	}
	for {
		if i, err = d.event(space(d.body, i)); err != nil {
			return 0, err
		}
		i = space(d.body, i)
		switch {
		case i == len(d.body):
			return 0, &malformed{i, "the array is not closed"}
		case d.body[i] == ']':
			return i + 1, nil
		case d.body[i] != ',':
			return 0, &malformed{i, "a comma or a closing bracket must follow an event"}
		}
		i++
	}
}

// lines reads events that are each followed by a newline or the end. Blank lines are skipped.
func (d *decoder) lines() error {
	for i := space(d.body, 0); i < len(d.body); {
		end, err := d.event(i)
		if err != nil {
			return err
		}
		next := space(d.body, end)
		if next < len(d.body) && !newline(d.body[end:next]) {
			return &malformed{next, "a newline must follow an event"}
		}
		i = next
	}
	return nil
}

// event decodes the value at i and returns where it ends.
func (d *decoder) event(i int) (end int, err error) {
	if d.index() >= d.maxEvents {
		return 0, &tooMany{d.maxEvents}
	}
	if !d.slow && i < len(d.body) && d.body[i] == '{' {
		if end := d.scan(i); end > 0 {
			return end, nil
		}
	}
	return d.refDecode(i)
}

// index is the index in body of the next event, from 0.
func (d *decoder) index() int { return len(d.events) - d.first + d.faults.events }

// add appends a zero event and returns it.
func (d *decoder) add() *event.Event {
	if len(d.events) < cap(d.events) {
		d.events = d.events[:len(d.events)+1]
	} else {
		d.events = append(d.events, event.Event{})
	}
	return &d.events[len(d.events)-1]
}

// drop removes the last event, and the usage from first on.
func (d *decoder) drop(first int) {
	n := len(d.events) - 1
	d.events[n] = event.Event{}
	d.events, d.usage = d.events[:n], d.usage[:first]
}

// find returns the service with this id; nil when it is not configured, or the grant does not include it.
func (d *decoder) find(id string) *service {
	if d.last == nil || d.last.id != id {
		if d.last = d.services.byID[id]; !d.grant.Serves(id) {
			d.last = nil
		}
	}
	return d.last
}

// space returns the position of the first byte at or after i that is not JSON white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

func newline(b []byte) bool {
	for _, c := range b {
		if c == '\n' {
			return true
		}
	}
	return false
}
