package wal

import (
	"errors"
	"os"

	"github.com/reporterd/reporterd/spool/disk"
)

// Trust says up to where the log was durable before this start, as an earlier process recorded it (Options.Noted). It is for a
// start, before Open. Without it no frame of the newest segment is known to be durable.
func (l *Log) Trust(known Extent) { l.trusted = known }

// trustedEnd returns the offset up to which the frames of a segment are known to be durable.
func (l *Log) trustedEnd(s *Segment) int64 {
	if l.trusted.Last != s.First || l.trusted.LastTry != s.Try {
		return SegmentHead
	}
	return max(l.trusted.End, SegmentHead)
}

// closeNewest closes the newest segment and makes it durable. A process that was killed, or whose sync failed, may have left
// frames in the page cache that are not on the disk. From here on they count as accepted, so they have to be as durable as what
// was acknowledged (I2), and before the footer is written: a frame before a footer was durable, so one that does not hold there is
// counted as damage (I13).
func (r *replay) closeNewest() error {
	file, err := r.log.FS.OpenFile(r.log.path(r.Segment.Name()), os.O_RDWR, 0)
	if err != nil {
		return r.log.readError(r.Segment, span{}, err)
	}
	if len(r.uncertain) > 0 && !r.log.NoSync {
		err = errors.Join(r.rewrite(file), file.Sync())
	}
	if err == nil {
		r.finish(file)
		err = r.log.syncFile(file)
	}
	return errors.Join(err, file.Close())
}

// rewrite writes the frames again that are not known to be durable, with the bytes that they have. The sync of an earlier process
// or start may have failed: then the kernel calls their pages clean, and another sync would succeed and write nothing (I4).
// Damaged ranges are left as they are.
func (r *replay) rewrite(file disk.File) error {
	s := r.Segment
	if err := r.open(r.log, s, s.Size); err != nil {
		return err
	}
	defer func() { _ = r.close() }() // opened for reading
	for _, at := range r.uncertain {
		f, payload, err := r.read(at)
		if err != nil {
			return r.log.readError(s, span{at, FrameHead}, err) // it was valid a moment ago
		}
		frame := make([]byte, FrameHead+len(payload))
		f.Put(frame)
		copy(frame[FrameHead:], payload)
		if _, err := file.WriteAt(frame, at); err != nil {
			return err
		}
	}
	return nil
}

// finish closes the newest segment, whose process may have been killed: it writes a footer, so that the next start knows the end,
// and truncates the reserved rest.
func (r *replay) finish(file disk.File) {
	s := r.Segment
	if r.closed || s.torn {
		return
	}
	footer := make([]byte, FrameHead)
	r.log.frame(frameFooter, s.next, 0, nil).Put(footer)
	if _, err := file.WriteAt(footer, s.end); err == nil && file.Truncate(s.end+FrameHead) == nil {
		r.log.resize(s, s.end+FrameHead)
	}
}
