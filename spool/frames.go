package spool

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"time"

	"github.com/reporterd/reporterd/spool/wal"
)

// FrameInfo describes a frame of a segment.
type FrameInfo struct {
	Offset   int64
	Bytes    int64
	First    uint64
	Next     uint64
	Sound    bool           // its checksum holds
	Accepted time.Time      // of the journal: when its events were accepted; else zero
	Records  map[string]int // of the batch log: how many of each kind; else nil
}

// recordNames are the names of the batch log's records in the output of commands.
var recordNames = map[recordKind]string{
	recordTotals: "totals", recordBatch: "batch", recordCut: "cut", recordAttempt: "attempt", recordAmbiguous: "ambiguous",
	recordAnswered: "answered", recordResolved: "resolved", recordLost: "lost", recordMoved: "moved",
	recordNote: "note", recordReceipt: "receipt", recordAccount: "account", recordRequeued: "requeued", recordRequeues: "requeues",
}

// ListFrames calls each with every frame of a segment that recovery would read, while it reads. The segment is named as by
// ListSegments, or without its directory where that is unique. It changes nothing and takes no lock. It ends early with ctx's
// error, or with an error of each.
func ListFrames(ctx context.Context, o InspectOptions, file string, each func(FrameInfo) error) error {
	o, err := o.checked()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s, _ := openReadOnly(ctx, o)
	l, found, limit, err := s.find(file)
	if err != nil {
		return err
	}
	_, err = l.Scan(found, limit, func(_ *wal.Segment, f wal.Frame, offset int64, payload []byte, whole bool) {
		if ctx.Err() != nil {
			return
		}
		if err := each(frameInfo(l.Kind, f, offset, payload, whole)); err != nil {
			cancel(err)
		}
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("spool: read %s: %w", file, err)
	}
	return nil
}

// find returns a segment by its name, and the first sequence number of the next segment.
func (s *Spool) find(file string) (*wal.Log, *wal.Segment, uint64, error) {
	for _, l := range s.logs() {
		if dir := filepath.Dir(file); dir != "." && dir != l.Dir {
			continue
		}
		if err := l.List(&wal.Findings{}); err != nil {
			return nil, nil, 0, fmt.Errorf("spool: read %s: %w", l.Dir, err)
		}
		segments := l.All()
		for i, candidate := range segments {
			if candidate.Name() != filepath.Base(file) {
				continue
			}
			if i+1 < len(segments) {
				return l, candidate, segments[i+1].First, nil
			}
			return l, candidate, wal.NoLimit, nil
		}
	}
	return nil, nil, 0, fmt.Errorf("spool: %s: %w", file, ErrUnknownSegment)
}

func frameInfo(kind wal.Kind, f wal.Frame, offset int64, payload []byte, whole bool) FrameInfo {
	info := FrameInfo{Offset: offset, Bytes: f.Size(), First: f.First, Next: f.Next(), Sound: whole}
	switch {
	case kind == wal.Journal && whole && len(payload) >= groupPrefix:
		info.Accepted = time.Unix(0, int64(binary.LittleEndian.Uint64(payload)))
	case kind == wal.Batches:
		info.Records = make(map[string]int)
		for len(payload) > 0 {
			var body []byte
			if body, payload = cutRecord(payload); body != nil {
				info.Records[recordNames[recordKind(body[0])]]++
			}
		}
	}
	return info
}
