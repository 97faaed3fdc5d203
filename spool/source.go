package spool

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/reporterd/reporterd/event"
)

// bitSource is the first byte of a source record in a journal frame: the events after it, up to the next source record, come
// from one message of a stream.
const bitSource = 1 << 6

// maxPart bounds the index of the next part of a message that is taken in parts; see event.Source.Next.
const maxPart = 1 << 24

// sourceSet is the set of messages of streams that were accepted. It has no time limit: a message is kept until the floor of its
// stream passes it. Its owner's mutex guards it.
type sourceSet struct{ streams map[uint64]*streamSet }

// streamSet is the set of messages of one stream that were accepted: one bit for each sequence number above the floor.
type streamSet struct {
	floor uint64            // all messages up to this one were acknowledged to the stream
	taken map[uint64]uint64 // a bit for each sequence number, by number / 64
	parts map[uint64]uint32 // of messages accepted in part: the index of the first event that was not
}

// has reports whether a message, or the part of it that ends at s.Next, was accepted.
func (x *sourceSet) has(s event.Source) bool {
	of := x.streams[s.Stream]
	switch {
	case of == nil:
		return false
	case s.Sequence <= of.floor || of.taken[s.Sequence/64]&(1<<(s.Sequence%64)) != 0:
		return true
	}
	return s.Next != 0 && of.parts[s.Sequence] >= s.Next
}

// add adds a message, or the part of it that ends at s.Next, and raises the floor of its stream.
func (x *sourceSet) add(s event.Source) {
	of := x.stream(s.Stream)
	of.raise(s.Floor)
	switch {
	case s.Sequence <= of.floor:
	case s.Next != 0:
		of.parts[s.Sequence] = max(of.parts[s.Sequence], s.Next)
	default:
		of.taken[s.Sequence/64] |= 1 << (s.Sequence % 64)
		delete(of.parts, s.Sequence)
	}
}

func (x *sourceSet) stream(id uint64) *streamSet {
	if x.streams == nil {
		x.streams = make(map[uint64]*streamSet)
	}
	of := x.streams[id]
	if of == nil {
		of = &streamSet{taken: make(map[uint64]uint64), parts: make(map[uint64]uint32)}
		x.streams[id] = of
	}
	return of
}

// raise sets the floor, and removes the messages up to it.
func (of *streamSet) raise(floor uint64) {
	if floor <= of.floor {
		return
	}
	if floor/64-of.floor/64 < uint64(len(of.taken)) {
		for word := of.floor / 64; word < floor/64; word++ {
			delete(of.taken, word)
		}
	} else {
		for word := range of.taken {
			if word < floor/64 {
				delete(of.taken, word)
			}
		}
	}
	if bits := of.taken[floor/64] &^ (1<<(floor%64+1) - 1); bits != 0 {
		of.taken[floor/64] = bits
	} else {
		delete(of.taken, floor/64)
	}
	for sequence := range of.parts {
		if sequence <= floor {
			delete(of.parts, sequence)
		}
	}
	of.floor = floor
}

// all returns the whole set as ranges, floors first.
func (x *sourceSet) all() (out []sourceRange) {
	out = x.floors()
	for id, of := range x.streams {
		for word, bits := range of.taken {
			for bit := range uint64(64) {
				if sequence := word*64 + bit; bits&(1<<bit) != 0 && sequence > of.floor {
					out = append(out, sourceRange{stream: id, first: sequence, count: 1})
				}
			}
		}
		for sequence, next := range of.parts {
			out = append(out, sourceRange{stream: id, first: sequence, count: next, kind: rangePart})
		}
	}
	return joinRanges(out)
}

// floors returns the floor of each stream that has one.
func (x *sourceSet) floors() (out []sourceRange) {
	for id, of := range x.streams {
		if of.floor > 0 {
			out = append(out, sourceRange{stream: id, first: of.floor, kind: rangeFloor})
		}
	}
	return out
}

// The kinds of a sourceRange, in the two highest bits of the sequence number.
const (
	rangeTaken = iota // count messages from first on were accepted
	rangeFloor        // all messages up to first were acknowledged to the stream
	rangePart         // of the message first, the events below index count were accepted
)

// sourceRange is an entry of the ids log about messages of a stream.
type sourceRange struct {
	stream, first uint64
	count         uint32 // less than maxPart: an entry with a larger number there is one of an event id
	kind          uint8
}

// rangeOf returns the entry of a message, or of a part of one.
func rangeOf(s event.Source) sourceRange {
	if s.Next != 0 {
		return sourceRange{stream: s.Stream, first: s.Sequence, count: s.Next, kind: rangePart}
	}
	return sourceRange{stream: s.Stream, first: s.Sequence, count: 1}
}

// append writes an entry, which has the size of an id's entry.
func (r sourceRange) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, r.count)
	dst = binary.LittleEndian.AppendUint64(dst, r.stream)
	return binary.LittleEndian.AppendUint64(dst, r.first|uint64(r.kind)<<62)
}

// addTo adds the messages of an entry to a set.
func (r sourceRange) addTo(x *sourceSet) {
	switch r.kind {
	case rangeFloor:
		x.stream(r.stream).raise(r.first)
	case rangePart:
		x.add(event.Source{Stream: r.stream, Sequence: r.first, Next: r.count})
	case rangeTaken:
		for n := range uint64(r.count) {
			x.add(event.Source{Stream: r.stream, Sequence: r.first + n})
		}
	}
}

// readRange reads an entry of the ids log. ok is false for the entry of an event id.
func readRange(entry []byte) (r sourceRange, ok bool) {
	r.count = binary.LittleEndian.Uint32(entry)
	r.stream = binary.LittleEndian.Uint64(entry[4:])
	first := binary.LittleEndian.Uint64(entry[12:])
	r.first, r.kind = first&(1<<62-1), uint8(first>>62)
	return r, r.count < maxPart
}

// joinRanges sorts entries, and joins those of messages that follow each other.
func joinRanges(all []sourceRange) []sourceRange {
	slices.SortFunc(all, func(a, b sourceRange) int {
		return cmp.Or(cmp.Compare(a.stream, b.stream), cmp.Compare(a.kind, b.kind), cmp.Compare(a.first, b.first))
	})
	out := all[:0]
	for _, r := range all {
		if n := len(out) - 1; n >= 0 && r.kind == rangeTaken && out[n].kind == rangeTaken && out[n].stream == r.stream &&
			out[n].first+uint64(out[n].count) >= r.first && out[n].count < maxPart-2 {
			out[n].count = max(out[n].count, uint32(r.first+uint64(r.count)-out[n].first))
			continue
		}
		out = append(out, r)
	}
	return out
}

// appendSource writes a source record.
func appendSource(dst []byte, s *event.Source) []byte {
	dst = append(dst, bitSource)
	dst = binary.LittleEndian.AppendUint64(dst, s.Stream)
	dst = binary.AppendUvarint(dst, s.Sequence)
	dst = binary.AppendUvarint(dst, s.Floor)
	return binary.AppendUvarint(dst, uint64(s.Next))
}

// sources reads the source records before the next event, and calls found for each; found may be nil.
func (d *decoder) sources(found func(event.Source)) {
	for len(d.data) > 0 && d.data[0] == bitSource {
		d.byte()
		var s event.Source
		if raw := d.bytes(8); raw != nil {
			s.Stream = binary.LittleEndian.Uint64(raw)
		}
		s.Sequence, s.Floor, s.Next = d.uvarint(), d.uvarint(), uint32(d.uvarint())
		if found != nil && d.err == nil {
			found(s)
		}
	}
}

// sourceRun is the events of one message in an encoding.
type sourceRun struct {
	source     event.Source
	index      int // of the first event
	count      int
	start, end int  // in buf, the source record included
	duplicate  bool // the message was accepted before, or is in another group in flight
}

// groupSource is a message at the place of its first event in a group.
type groupSource struct {
	source event.Source
	event  uint32
}

// uncutSource is a message whose only durable place is the journal.
type uncutSource struct {
	position Position
	source   event.Source
}

// flightKey identifies a message in flight, or a part of one.
func flightKey(s event.Source) event.Source {
	s.Floor = 0
	return s
}

// siftSourcesLocked drops the messages that were accepted before or are in flight, and returns the groups of the latter. It
// reserves the rest.
func (j *journal) siftSourcesLocked(e *encoding) (waits []*group) {
	for i := range e.runs {
		r := &e.runs[i]
		key := flightKey(r.source)
		switch g := j.sourcesInFlight[key]; {
		case j.sources.has(r.source), g == placing:
			r.duplicate = true
		case g != nil:
			r.duplicate = true
			waits = append(waits, g)
		default:
			j.sourcesInFlight[key] = placing // fillLocked replaces it by the group before the mutex is released
		}
		if r.duplicate {
			e.drops = append(e.drops, drop{r.index, r.count, r.start, r.end})
		}
	}
	return waits
}
