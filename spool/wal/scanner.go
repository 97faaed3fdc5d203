package wal

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/reporterd/reporterd/spool/disk"
)

const (
	windowBytes   = 256 << 10 // bytes that a scanner reads ahead
	resyncEffort  = 8         // limit for the bytes checksummed while looking for a frame, in multiples of the file's size
	maxEmptyBytes = 16 << 10
)

// Why there is no frame at an offset.
var (
	errNoFrame  = errors.New("no frame")           // zeros or the end: not written
	errBadFrame = errors.New("damaged or torn")    // written, and not valid
	errBadBody  = errors.New("payload is damaged") // the head holds, so the missing entries are known
)

// scanner reads the frames of one segment file through a window. It is for one goroutine.
type scanner struct {
	file   disk.File
	log    Kind  // that the file is of
	size   int64 // nothing is read from this offset on
	window []byte
	at     int64 // offset of the window
	failed span  // the range of the last read error
}

// span is a part of a file.
type span struct{ at, bytes int64 }

// view returns n bytes at off, valid until the next call.
func (s *scanner) view(off, n int64) ([]byte, error) {
	if off+n > s.size {
		return nil, errNoFrame
	}
	if off >= s.at && off+n <= s.at+int64(len(s.window)) {
		return s.window[off-s.at:][:n], nil
	}
	want := min(max(n, windowBytes), s.size-off)
	if int64(cap(s.window)) < want {
		s.window = make([]byte, want)
	}
	s.window, s.at = s.window[:want], off
	err := readFull(s.file, s.window, off)
	if err != nil && want > n { // the unreadable part may lie behind the n bytes
		s.window = s.window[:n]
		err = readFull(s.file, s.window, off)
	}
	if err != nil {
		s.window, s.failed = s.window[:0], span{off, n}
		return nil, err
	}
	return s.window[:n], nil
}

// read returns the frame at off, if its checksum holds (I3).
func (s *scanner) read(off int64) (Frame, []byte, error) {
	head, err := s.view(off, FrameHead)
	if err != nil {
		return Frame{}, nil, err
	}
	f, ok := ParseFrame(s.log, head)
	if !ok {
		if binary.LittleEndian.Uint64(head) == 0 {
			return Frame{}, nil, errNoFrame
		}
		return Frame{}, nil, errBadFrame
	}
	if off+f.Size() > s.size {
		return f, nil, errBadFrame
	}
	whole, err := s.view(off, f.Size())
	if err != nil {
		return f, nil, err
	}
	if payload := whole[FrameHead:]; f.holds(payload) {
		return f, payload, nil
	}
	return f, whole[FrameHead:], errBadBody
}

// resync finds the next valid frame at or after off whose sequence numbers lie in [low, high]. It returns its offset, or -1, and
// whether there are bytes other than zeros in between. The effort is limited, since a producer chooses the bytes of its events.
// An error says that a part could not be read.
func (s *scanner) resync(off int64, low, high uint64) (at int64, written bool, err error) {
	magic := binary.LittleEndian.AppendUint32(nil, frameMagic)
	effort := resyncEffort * s.size
	for off+FrameHead <= s.size && effort > 0 {
		chunk, err := s.peek(off)
		if err != nil {
			return -1, written, err
		}
		written = written || !zero(chunk)
		i := bytes.Index(chunk, magic)
		if i < 0 {
			off += int64(len(chunk)) - int64(len(magic)) + 1
			continue
		}
		off += int64(i)
		fits, cost, err := s.fits(off, low, high)
		if fits || err != nil {
			return off, true, err
		}
		effort -= cost
		off++
	}
	return -1, written, nil
}

// fits reports whether a valid frame with numbers in [low, high] is at off, and how many bytes the check read. The numbers are
// checked first: a forger has to know them.
func (s *scanner) fits(off int64, low, high uint64) (ok bool, cost int64, err error) {
	head, err := s.view(off, FrameHead)
	if errors.Is(err, errNoFrame) {
		return false, FrameHead, nil
	}
	if err != nil {
		return false, FrameHead, err
	}
	f, ok := ParseFrame(s.log, head)
	if !ok || f.First < low || f.Next() > high || off+f.Size() > s.size {
		return false, 0, nil
	}
	_, _, err = s.read(off)
	if inFile(err) {
		return false, f.Size(), nil
	}
	return err == nil, f.Size(), err
}

// peek returns the bytes in the window from off on, at least a head. It reads only when fewer are left: the search for a frame at
// every byte must not cause a read at every byte.
func (s *scanner) peek(off int64) ([]byte, error) {
	if left := s.at + int64(len(s.window)) - off; off >= s.at && left >= FrameHead {
		return s.window[off-s.at:], nil
	}
	return s.view(off, min(windowBytes, s.size-off))
}

// zero reports whether all bytes are zero.
func zero(b []byte) bool {
	for len(b) > len(blank) {
		if !bytes.Equal(b[:len(blank)], blank[:]) {
			return false
		}
		b = b[len(blank):]
	}
	return bytes.Equal(b, blank[:len(b)])
}

var blank [maxEmptyBytes]byte
