package spool

import (
	"sync"

	"github.com/reporterd/reporterd/event"
)

// groupPrefix is the size of the beginning of a journal frame's payload: when it was accepted (Unix nanoseconds) and how many
// duplicates had been counted, 8 bytes each.
const groupPrefix = 16

// encoding is the events of one request in the journal's format. It is made without holding a lock.
type encoding struct {
	buf     []byte
	count   int
	withID  []hashedEvent // those with an id, in order
	fresh   []hashedEvent // those of withID that are not duplicates, set by siftLocked
	runs    []sourceRun   // the events by message of a stream, in order
	drops   []drop        // the duplicates, in order, set by siftLocked
	latest  int64         // the latest timestamp, Unix seconds
	scratch []byte
}

// hashedEvent says where in an encoding an event with an id lies.
type hashedEvent struct {
	hash       idHash
	index      int
	start, end int
}

// drop is a part of an encoding that is not written: a duplicate event, or all events of a duplicate message.
type drop struct{ index, count, start, end int }

var encodings = sync.Pool{New: func() any { return new(encoding) }}

// encode writes events into a pooled encoding, without their ids if ids is false.
func encode(events []event.Event, ids bool) *encoding {
	e := encodings.Get().(*encoding)
	e.buf, e.withID, e.count, e.latest = e.buf[:0], e.withID[:0], len(events), 0
	e.fresh, e.runs, e.drops = e.fresh[:0], e.runs[:0], e.drops[:0]
	for i := range events {
		e.run(events, i)
		e.add(&events[i], i, ids)
	}
	if last := len(e.runs) - 1; last >= 0 && e.runs[last].end == 0 {
		e.runs[last].end = len(e.buf)
	}
	return e
}

// run writes a source record before the first event of a message, and ends the run of the previous message.
func (e *encoding) run(events []event.Event, i int) {
	source := events[i].Source
	if i > 0 && source == events[i-1].Source {
		if source != nil {
			e.runs[len(e.runs)-1].count++
		}
		return
	}
	if last := len(e.runs) - 1; last >= 0 && e.runs[last].end == 0 {
		e.runs[last].end = len(e.buf)
	}
	if source != nil {
		e.runs = append(e.runs, sourceRun{source: *source, index: i, count: 1, start: len(e.buf)})
		e.buf = appendSource(e.buf, source)
	}
}

// release returns the encoding to the pool. A large one is left to the garbage collector.
func (e *encoding) release() {
	if cap(e.buf) <= maxGroup {
		encodings.Put(e)
	}
}

func (e *encoding) add(v *event.Event, index int, ids bool) {
	flags := flagsOf(&v.Transaction) | credentialBits(v.Credentials)
	if v.FlatUsage {
		flags |= bitFlat
	}
	start := len(e.buf)
	if ids && v.ID != "" {
		flags |= bitIDHash
	}
	e.buf = append(e.buf, flags)
	e.buf = appendString(e.buf, v.ServiceID)
	e.buf = appendCredentials(e.buf, v.Credentials)
	if flags&bitIDHash != 0 {
		var m idHash
		m, e.scratch = newIDHash(e.scratch, v.ServiceID, v.ID)
		e.buf = append(e.buf, m[:]...)
		e.withID = append(e.withID, hashedEvent{hash: m, index: index, start: start})
	}
	e.buf = appendTransaction(e.buf, &v.Transaction)
	e.latest = max(e.latest, v.Timestamp)
	if flags&bitIDHash != 0 {
		e.withID[len(e.withID)-1].end = len(e.buf)
	}
}

// event reads the next event of a group. v and its usage are reused; strings are views.
func (d *decoder) event(v *event.Event) (m idHash, hasID bool) {
	d.sources(d.source)
	flags := d.byte()
	if flags&^knownBits != 0 {
		d.fail()
	}
	v.FlatUsage, v.ID = flags&bitFlat != 0, ""
	v.ServiceID = d.view()
	v.Credentials = d.credentials(flags)
	if flags&bitIDHash != 0 {
		copy(m[:], d.bytes(len(m)))
	}
	d.transaction(flags, &v.Transaction)
	return m, flags&bitIDHash != 0
}
