package spool

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

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

	mu sync.Mutex // held by the one goroutine that commits to log
}

// carry makes the marks of all events up to a position durable here: before the cut is (I8).
func (i *ids) carry(upTo Position) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for marks := range slices.Chunk(i.upTo(upTo), idsWindow*idBytes) {
		buf := append(make([]byte, wal.FrameHead, wal.FrameHead+len(marks)), marks...)
		newest := int64(binary.LittleEndian.Uint32(marks[len(marks)-idBytes:]))
		err := i.log.Commit(buf, uint32(len(marks)/idBytes), func(at wal.Place) { at.Segment.Mark.Store(newest) })
		if err != nil {
			return err
		}
	}
	now := time.Now().Unix()
	return i.log.DropWhile(func(oldest *wal.Segment, _, _ uint64) bool { return oldest.Mark.Load()+i.journal.window() < now })
}

// upTo encodes the marks that only the journal has, up to a position.
func (i *ids) upTo(position Position) (encoded []byte) {
	j := i.journal
	j.mu.Lock()
	defer j.mu.Unlock()
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
		stamp := int64(binary.LittleEndian.Uint32(entry))
		i.journal.remember(idHash(entry[4:]), stamp)
		s.Mark.Store(max(s.Mark.Load(), stamp))
	}
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
