package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/reporterd/reporterd/spool/disk"
)

// ReadError says that a file of the spool could not be opened or read. It says nothing about what is in the file, and
// nothing is concluded from it (I17): not that an end was torn, not that bytes are damaged, not that events are lost.
type ReadError struct {
	File string // relative to the data directory
	Err  error
}

// Error names the file once: the error of the system names it again, with the directory.
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

// errReleased is returned for a segment whose file was removed because nothing in it is needed any more.
var errReleased = errors.New("removed: nothing in it was needed any more")

// openSegment opens a segment for reading. A missing file is trouble like any other, unless this log removed it.
func (l *segmentLog) openSegment(s *segment) (disk.File, error) {
	file, err := l.fs.OpenFile(l.path(s.name()), os.O_RDONLY, 0)
	if err == nil {
		return file, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		if l.wasReleased(s) {
			return nil, errReleased
		}
		if away := l.presence.look(); away != nil { // the directory is gone: appending ends now, not with the next look (I19)
			err = fmt.Errorf("%w (%w)", away, err)
		}
	}
	return nil, l.trouble(s, span{}, err)
}

// trouble notes that a part of a segment could not be read, and returns the error that says so.
func (l *segmentLog) trouble(s *segment, at span, err error) error {
	err = &ReadError{File: filepath.Join(l.dir, s.name()), Err: err}
	l.health.failed(s, at, err)
	return err
}

// readAt fills data from a segment, through a descriptor of its own.
func (l *segmentLog) readAt(s *segment, data []byte, offset int64) error {
	file, err := l.openSegment(s)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // opened for reading
	if err := readFull(file, data, offset); err != nil {
		return l.trouble(s, span{offset, int64(len(data))}, err)
	}
	return nil
}

// readFull fills data, or says why it cannot. A file that ends too early is an error like any other: its bytes were
// there, and may be again.
func readFull(file io.ReaderAt, data []byte, offset int64) error {
	n, err := file.ReadAt(data, offset)
	switch {
	case n == len(data):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return fmt.Errorf("it ends %d bytes too early: %w", len(data)-n, io.EOF)
	}
	return err
}

// readings is how often bytes are read, each time through another descriptor, before they are called damaged.
const readings = 2

// record reads a record of the batch log, without its head, in memory of its own. One that does not hold in any of the
// readings gives ErrDamaged.
func (l *segmentLog) record(s *segment, offset, length int64) ([]byte, error) {
	for range readings {
		data := make([]byte, length)
		if err := l.readAt(s, data, offset); err != nil {
			return nil, err
		}
		if body, _ := cutRecord(data); body != nil {
			return body, nil
		}
	}
	return nil, ErrDamaged
}

// reader reads the frames of one segment. Recovery, the readers of a running log, verification and inspection all read
// through it, and it alone tells what may be concluded (I17): an error that is not errNoFrame, errBadFrame or
// errBadBody is trouble; those three say what is in the file, after it was read twice. It is for one goroutine.
type reader struct {
	log     *segmentLog
	segment *segment
	scan    scanner
}

// open begins to read a segment, up to a size. After an error the reader is where it was.
func (r *reader) open(l *segmentLog, s *segment, size int64) error {
	file, err := l.openSegment(s)
	if err != nil {
		return err
	}
	_ = r.close() // opened for reading
	r.log, r.segment = l, s
	r.scan = scanner{file: file, size: size, window: r.scan.window[:0]}
	return nil
}

// again opens the same segment through another descriptor, and forgets what was read ahead.
func (r *reader) again() error { return r.open(r.log, r.segment, r.scan.size) }

// close releases the file.
func (r *reader) close() error {
	if r.scan.file == nil {
		return nil
	}
	err := r.scan.file.Close()
	r.scan.file, r.scan.window = nil, r.scan.window[:0]
	return err
}

// inFile reports whether an error of the scanner says what is in the file.
func inFile(err error) bool {
	return errors.Is(err, errNoFrame) || errors.Is(err, errBadFrame) || errors.Is(err, errBadBody)
}

// read returns the frame at an offset. Where none holds, it is read again before that is said.
func (r *reader) read(off int64) (frame, []byte, error) {
	f, payload, err := r.scan.read(off)
	if inFile(err) && off+frameHead <= r.scan.size {
		if err := r.again(); err != nil {
			return frame{}, nil, err
		}
		f, payload, err = r.scan.read(off)
	}
	return f, payload, r.judge(err)
}

// judge makes trouble of an error that says nothing of what is in the file.
func (r *reader) judge(err error) error {
	if err == nil || inFile(err) {
		return err
	}
	return r.log.trouble(r.segment, r.scan.failed, err)
}

// resync looks for the next sound frame at or behind an offset whose sequence numbers lie in [low, high]: its offset,
// or -1, and whether there is anything but zeros before. It looks twice, so that no frame is missed for one bad reading.
func (r *reader) resync(off int64, low, high uint64) (at int64, written bool, err error) {
	at = -1
	for range readings {
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

// head returns what the head of the segment says of the file, and how many bytes the file was made with; 0: unknown.
func (r *reader) head(kind logKind) (state headState, made int64, err error) {
	if r.scan.size < segmentHead {
		return headDamaged, 0, nil
	}
	for range readings {
		head, err := r.scan.view(0, segmentHead)
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
