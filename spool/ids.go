package spool

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool/wal"
)

const (
	idBytes   = 4 + len(idHash{}) // Unix seconds of acceptance, mark
	idsFrame  = 1 << 20           // most bytes of payload in a frame
	idsWindow = idsFrame / idBytes
)

// ids carries the marks of events over a cut, so that the journal behind it can go while their ids are
// remembered.
type ids struct {
	log     *wal.Log
	journal *journal

	mu   sync.Mutex // held by the one goroutine that commits to log; guards base
	base uint64     // segments that begin below it are not needed for messages of streams
}

// carry makes the marks of all events up to a position durable here: before the cut is (I8).
func (i *ids) carry(upTo Position) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.commitLocked(i.upTo(upTo)); err != nil {
		return err
	}
	return i.dropLocked()
}

// note makes messages of streams durable here without events of theirs: each of their events was known by its id.
func (i *ids) note(sources []event.Source) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	var entries []byte
	for _, s := range sources {
		entries = rangeOf(s).append(entries)
	}
	if err := i.commitLocked(entries); err != nil {
		return err
	}
	i.journal.mu.Lock()
	defer i.journal.mu.Unlock()
	for _, s := range sources {
		i.journal.sources.add(s)
	}
	return nil
}

// commitLocked makes entries durable.
func (i *ids) commitLocked(entries []byte) error {
	for chunk := range slices.Chunk(entries, idsWindow*idBytes) {
		buf := append(make([]byte, wal.FrameHead, wal.FrameHead+len(chunk)), chunk...)
		newest := int64(binary.LittleEndian.Uint32(chunk[len(chunk)-idBytes:]))
		err := i.log.Commit(buf, uint32(len(chunk)/idBytes), func(at wal.Place) { at.Segment.Mark.Store(max(at.Segment.Mark.Load(), newest)) })
		if err != nil {
			return err
		}
	}
	return nil
}

// dropLocked removes segments whose ids have expired. What they say about messages of streams has no limit of time, so all
// that is known of them is written to the newest segment first, which is seldom: then no older one is needed for it (I20).
func (i *ids) dropLocked() error {
	window, now := i.journal.window(), time.Now().Unix()
	expired := func(s *wal.Segment) bool { return s.Mark.Load()+window < now }
	if i.log.Droppable(func(s *wal.Segment) bool { return expired(s) && s.First >= i.base }) {
		base := i.log.Last().First
		if err := i.commitLocked(i.journal.sourceState()); err != nil {
			return err
		}
		i.base = base
	}
	return i.log.DropWhile(func(s *wal.Segment, _, _ uint64) bool { return expired(s) && s.First < i.base })
}

// upTo encodes what only the journal has, up to a position: messages of streams, then marks.
func (i *ids) upTo(position Position) (encoded []byte) {
	j := i.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	var ranges []sourceRange
	for _, u := range j.uncutSources {
		if u.position > position {
			break
		}
		ranges = append(ranges, rangeOf(u.source))
	}
	if len(ranges) > 0 {
		ranges = append(ranges, j.sources.floors()...)
	}
	for _, r := range joinRanges(ranges) {
		encoded = r.append(encoded)
	}
	for _, u := range j.uncut {
		if u.position > position {
			break
		}
		stamp := j.dedupe.stamp(u.mark)
		if stamp == 0 {
			continue // expired while it waited
		}
		encoded = binary.LittleEndian.AppendUint32(encoded, stamp)
		encoded = append(encoded, u.mark[:]...)
	}
	return encoded
}

// replay remembers what a frame holds.
func (i *ids) replay(s *wal.Segment, payload []byte) {
	for entry := range slices.Chunk(payload, idBytes) {
		if len(entry) < idBytes {
			return
		}
		if r, ok := readRange(entry); ok {
			r.addTo(&i.journal.sources)
			continue
		}
		stamp := int64(binary.LittleEndian.Uint32(entry))
		i.journal.remember(idHash(entry[4:]), stamp)
		s.Mark.Store(max(s.Mark.Load(), stamp))
	}
}

// sourceState encodes all that is known of messages of streams.
func (j *journal) sourceState() (entries []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.sources.all() {
		entries = r.append(entries)
	}
	return entries
}

// remember adds a mark found on disk, unless ids are not remembered or it has expired. It is for
// recovery, before anything else runs.
func (j *journal) remember(m idHash, stamp int64) {
	if j.dedupe != nil && stamp+j.dedupe.window >= time.Now().Unix() {
		j.dedupe.add(m, stamp)
	}
}

// window returns for how many seconds ids are remembered.
func (j *journal) window() int64 {
	if j.dedupe == nil {
		return 0
	}
	return j.dedupe.window
}
