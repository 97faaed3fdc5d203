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
	idBytes   = 4 + len(idHash{}) // Unix seconds of acceptance, hash
	idsFrame  = 1 << 20           // most bytes of payload in a frame
	idsWindow = idsFrame / idBytes
)

// ids keeps the id hashes of events that were cut, so that the journal can be removed while their ids are still in the window.
type ids struct {
	log     *wal.Log
	journal *journal

	reserved bool // replay made space for the hashes on disk

	mu   sync.Mutex // held by the one goroutine that commits to log; guards base
	base uint64     // segments that begin below it are not needed for messages of streams
}

// carry makes the hashes of all events up to a position durable here, before the cut is durable (I8).
func (i *ids) carry(upTo Position) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.commitLocked(i.upTo(upTo)); err != nil {
		return err
	}
	return i.dropLocked()
}

// note makes messages of streams durable here without events: all their events are duplicates by id.
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
		err := i.log.Commit(buf, uint32(len(chunk)/idBytes), func(at wal.Place) { at.Segment.ReleaseAfter.Store(max(at.Segment.ReleaseAfter.Load(), newest)) })
		if err != nil {
			return err
		}
	}
	return nil
}

// dropLocked removes segments whose ids have expired. Messages of streams do not expire, so all of them are written to the newest
// segment first; after that no older segment is needed for them (I20). This happens rarely.
func (i *ids) dropLocked() error {
	window, now := i.journal.window(), time.Now().Unix()
	expired := func(s *wal.Segment) bool { return s.ReleaseAfter.Load()+window < now }
	if i.log.Droppable(func(s *wal.Segment) bool { return expired(s) && s.First >= i.base }) {
		base := i.log.Last().First
		if err := i.commitLocked(i.journal.sourceState()); err != nil {
			return err
		}
		i.base = base
	}
	return i.log.DropWhile(func(s *wal.Segment, _, _ uint64) bool { return expired(s) && s.First < i.base })
}

// upTo encodes the messages of streams and the id hashes, up to a position, whose only durable place is the journal.
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
	now := time.Now().Unix()
	for _, u := range j.uncut {
		if u.position > position {
			break
		}
		if int64(u.stamp)+j.dedupe.window < now {
			continue // it has expired
		}
		encoded = binary.LittleEndian.AppendUint32(encoded, u.stamp)
		encoded = append(encoded, u.hash[:]...)
	}
	return encoded
}

// replay adds the hashes of a frame to the dedupe set.
func (i *ids) replay(s *wal.Segment, payload []byte) {
	if d := i.journal.dedupe; d != nil && !i.reserved {
		i.reserved = true
		d.forget(time.Now().Unix())
		d.reserve(int(min(i.log.SealedBytes()/int64(idBytes), int64(i.journal.maxIDs))))
	}
	now := time.Now().Unix()
	for entry := range slices.Chunk(payload, idBytes) {
		if len(entry) < idBytes {
			return
		}
		if r, ok := readRange(entry); ok {
			r.addTo(&i.journal.sources)
			continue
		}
		stamp := int64(binary.LittleEndian.Uint32(entry))
		if d := i.journal.dedupe; d != nil && stamp+d.window >= now {
			d.addLater(idHash(entry[4:]), stamp)
		}
		s.ReleaseAfter.Store(max(s.ReleaseAfter.Load(), stamp))
	}
}

// endReplay adds the hashes that replay has read to the dedupe set.
func (i *ids) endReplay() {
	if i.journal.dedupe != nil {
		i.journal.dedupe.flush()
	}
}

// sourceState encodes the whole set of messages of streams.
func (j *journal) sourceState() (entries []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.sources.all() {
		entries = r.append(entries)
	}
	return entries
}

// remember adds a hash read from disk, unless it has expired. It is called by recovery, before other goroutines run, and only where
// ids are remembered.
func (j *journal) remember(m idHash, stamp int64) {
	if now := time.Now().Unix(); stamp+j.dedupe.window >= now {
		j.dedupe.forget(now)
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
