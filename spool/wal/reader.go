package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/reporterd/reporterd/spool/disk"
)

// ReadError says that a file of the spool could not be opened or read. It says nothing about the file's content, and no
// conclusion is drawn from it (I17): not that an end is torn, that bytes are damaged, or that events are lost.
type ReadError struct {
	File string // relative to the data directory
	Err  error
}

// Error contains the name of the file once: the system's error contains it again, with the directory.
func (e *ReadError) Error() string {
	cause := e.Err
	var system *os.PathError
	if errors.As(cause, &system) {
		cause = system.Err
	}
	return fmt.Sprintf("%s cannot be read: %v", e.File, cause)
}

// Unwrap returns the cause.
func (e *ReadError) Unwrap() error { return e.Err }

// ErrReleased is returned for a segment whose file was removed because its entries are not needed any more.
var ErrReleased = errors.New("removed: its entries were not needed any more")

// openSegment opens a segment for reading. A missing file is a read error, unless this log removed it.
func (l *Log) openSegment(s *Segment) (disk.File, error) {
	file, err := l.FS.OpenFile(l.path(s.Name()), os.O_RDONLY, 0)
	if err == nil {
		return file, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		if l.wasReleased(s) {
			return nil, ErrReleased
		}
		if away := l.Presence.Look(); away != nil { // the directory is gone: refuse events from now on, not from the next check on (I19)
			err = fmt.Errorf("%w (%w)", away, err)
		}
	}
	return nil, l.readError(s, span{}, err)
}

// readError records that a part of a segment could not be read, and returns a *ReadError.
func (l *Log) readError(s *Segment, at span, err error) error {
	err = &ReadError{File: filepath.Join(l.Dir, s.Name()), Err: err}
	l.health.failed(s, at, err)
	return err
}

// readAt fills data from a segment, through its own descriptor.
func (l *Log) readAt(s *Segment, data []byte, offset int64) error {
	file, err := l.openSegment(s)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // opened for reading
	if err := readFull(file, data, offset); err != nil {
		return l.readError(s, span{offset, int64(len(data))}, err)
	}
	return nil
}

// readFull fills data, or returns an error. A file that ends too early is a read error: its bytes were there, and may be again.
func readFull(file io.ReaderAt, data []byte, offset int64) error {
	n, err := file.ReadAt(data, offset)
	switch {
	case n == len(data):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return fmt.Errorf("the file ends %d bytes too early: %w", len(data)-n, io.EOF)
	}
	return err
}

// ErrDamaged says that bytes were read twice, and their checksum does not hold. A failure to read is a *ReadError instead,
// however often it occurs.
var ErrDamaged = errors.New("damaged on disk")

// Readings is how often bytes are read, each time through another descriptor, before they count as damaged.
const Readings = 2

// ReadChecked reads a range of a segment into its own memory, and returns the result of sound. If sound returns nil for all
// readings, the error is ErrDamaged.
func (l *Log) ReadChecked(s *Segment, offset, length int64, sound func(data []byte) []byte) ([]byte, error) {
	for range Readings {
		data := make([]byte, length)
		if err := l.readAt(s, data, offset); err != nil {
			return nil, err
		}
		if body := sound(data); body != nil {
			return body, nil
		}
	}
	return nil, ErrDamaged
}

// reader reads the frames of one segment. Recovery, the readers of a running log, verification and inspection all use it. It
// alone decides what an error means (I17): errNoFrame, errBadFrame and errBadBody describe what is in the file, after it was read
// twice; all other errors are read errors. It is for one goroutine.
type reader struct {
	log     *Log
	Segment *Segment
	scan    scanner
}

// open begins to read a segment, up to a size. After an error the reader is unchanged.
func (r *reader) open(l *Log, s *Segment, size int64) error {
	file, err := l.openSegment(s)
	if err != nil {
		return err
	}
	_ = r.close() // opened for reading
	r.log, r.Segment = l, s
	r.scan = scanner{file: file, log: l.Kind, size: size, window: r.scan.window[:0]}
	return nil
}

// again opens the same segment through another descriptor, and drops what was read ahead.
func (r *reader) again() error { return r.open(r.log, r.Segment, r.scan.size) }

// close closes the file.
func (r *reader) close() error {
	if r.scan.file == nil {
		return nil
	}
	err := r.scan.file.Close()
	r.scan.file, r.scan.window = nil, r.scan.window[:0]
	return err
}

// inFile reports whether an error of the scanner describes the content of the file.
func inFile(err error) bool {
	return errors.Is(err, errNoFrame) || errors.Is(err, errBadFrame) || errors.Is(err, errBadBody)
}

// read returns the frame at an offset. If there is no valid frame, it reads a second time.
func (r *reader) read(off int64) (Frame, []byte, error) {
	f, payload, err := r.scan.read(off)
	if inFile(err) && off+FrameHead <= r.scan.size {
		if err := r.again(); err != nil {
			return Frame{}, nil, err
		}
		f, payload, err = r.scan.read(off)
	}
	return f, payload, r.judge(err)
}

// judge turns an error that does not describe the file's content into a *ReadError.
func (r *reader) judge(err error) error {
	if err == nil || inFile(err) {
		return err
	}
	return r.log.readError(r.Segment, r.scan.failed, err)
}

// resync finds the next valid frame at or after an offset whose sequence numbers lie in [low, high]. It returns the frame's
// offset, or -1, and whether there are bytes other than zeros before it. It reads twice, so that one bad reading does not miss a
// frame.
func (r *reader) resync(off int64, low, high uint64) (at int64, written bool, err error) {
	at = -1
	for range Readings {
		if err := r.again(); err != nil {
			return -1, false, err
		}
		found, more, err := r.scan.resync(off, low, high)
		if err != nil {
			return -1, false, r.judge(err)
		}
		if at < 0 || found >= 0 && found < at {
			at = found
		}
		written = written || more
	}
	return at, written, nil
}

// head returns what the head of the segment says about the file, and the size with which the file was made; 0: unknown.
func (r *reader) head(kind Kind) (state headState, made int64, err error) {
	if r.scan.size < SegmentHead {
		return headDamaged, 0, nil
	}
	for range Readings {
		head, err := r.scan.view(0, SegmentHead)
		if err != nil {
			return 0, 0, r.judge(err)
		}
		if state = checkHead(head, kind); state == headFine {
			return state, reserved(head), nil
		}
		if err := r.again(); err != nil {
			return 0, 0, err
		}
	}
	return state, 0, nil
}
