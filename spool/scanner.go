package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/reporterd/reporterd/spool/disk"
)

const (
	windowBytes   = 256 << 10 // what a scanner reads ahead
	sectorBytes   = 4 << 10   // what a scanner passes over when it cannot be read
	readTries     = 3         // a disk may hiccup; what fails three times is gone
	resyncEffort  = 8         // times the file's size, in bytes checksummed while looking for a frame
	maxEmptyBytes = 16 << 10
)

// Why there is no frame at an offset.
var (
	errNoFrame  = errors.New("no frame")           // zeros or the end: nothing was written here
	errBadFrame = errors.New("damaged or torn")    // something was
	errBadBody  = errors.New("payload is damaged") // the head holds, so what is missing is known
)

// scanner reads the frames of one segment file through a window. It is for one goroutine.
type scanner struct {
	file   disk.File
	size   int64 // nothing is read at or behind this offset
	window []byte
	at     int64 // offset of the window
}

// view returns n bytes at off, valid until the next call.
func (s *scanner) view(off, n int64) ([]byte, error) {
	if off+n > s.size {
		return nil, io.EOF
	}
	if off >= s.at && off+n <= s.at+int64(len(s.window)) {
		return s.window[off-s.at:][:n], nil
	}
	want := min(max(n, windowBytes), s.size-off)
	if int64(cap(s.window)) < want {
		s.window = make([]byte, want)
	}
	s.window, s.at = s.window[:want], off
	if err := s.fill(); err != nil {
		s.window = s.window[:0]
		if want > n { // the trouble may lie behind what is asked for
			s.window = s.window[:n]
			if s.fill() == nil {
				return s.window, nil
			}
			s.window = s.window[:0]
		}
		return nil, err
	}
	return s.window[:n], nil
}

func (s *scanner) fill() (err error) {
	for range readTries {
		var n int
		if n, err = s.file.ReadAt(s.window, s.at); n == len(s.window) {
			return nil
		}
	}
	return err
}

// read returns the frame at off. I3: nothing is handed out whose checksum does not hold.
func (s *scanner) read(off int64) (frame, []byte, error) {
	head, err := s.view(off, frameHead)
	if errors.Is(err, io.EOF) {
		return frame{}, nil, errNoFrame
	}
	if err != nil {
		return frame{}, nil, err
	}
	f, ok := parseFrame(head)
	if !ok {
		if binary.LittleEndian.Uint64(head) == 0 {
			return frame{}, nil, errNoFrame
		}
		return frame{}, nil, errBadFrame
	}
	whole, err := s.view(off, f.size())
	if errors.Is(err, io.EOF) {
		return f, nil, errBadFrame
	}
	if err != nil {
		return f, nil, err
	}
	if payload := whole[frameHead:]; f.holds(payload) {
		return f, payload, nil
	}
	return f, whole[frameHead:], errBadBody
}

// resync looks for the next sound frame behind off whose sequence numbers lie in [low, high]. It returns
// its offset, or -1, and whether there is anything but zeros between. The effort is bounded, since a
// producer chooses the bytes of its events.
func (s *scanner) resync(off int64, low, high uint64) (at int64, written bool) {
	magic := binary.LittleEndian.AppendUint32(nil, frameMagic)
	effort := resyncEffort * s.size
	for off+frameHead <= s.size && effort > 0 {
		chunk, err := s.peek(off)
		if err != nil {
			off, written = off+sectorBytes, true
			continue
		}
		written = written || !zero(chunk)
		i := bytes.Index(chunk, magic)
		if i < 0 {
			off += int64(len(chunk)) - int64(len(magic)) + 1
			continue
		}
		off += int64(i)
		fits, cost := s.fits(off, low, high)
		if fits {
			return off, true
		}
		effort -= cost
		off++
	}
	return -1, written
}

// fits reports whether a sound frame with numbers in [low, high] is at off, and how many bytes it took to
// see. The numbers are looked at first: a forger has to know them.
func (s *scanner) fits(off int64, low, high uint64) (ok bool, cost int64) {
	head, err := s.view(off, frameHead)
	if err != nil {
		return false, frameHead
	}
	f, ok := parseFrame(head)
	if !ok || f.first < low || f.next() > high || off+f.size() > s.size {
		return false, 0
	}
	_, _, err = s.read(off)
	return err == nil, f.size()
}

// peek returns what is at hand from off on, at least a head, reading ahead only when there is less: looking
// for a frame at every other byte must not read the file at every other byte.
func (s *scanner) peek(off int64) ([]byte, error) {
	if left := s.at + int64(len(s.window)) - off; off >= s.at && left >= frameHead {
		return s.window[off-s.at:], nil
	}
	if chunk, err := s.view(off, min(windowBytes, s.size-off)); err == nil {
		return chunk, nil
	}
	return s.view(off, min(sectorBytes, s.size-off)) // the trouble may lie further on
}

// zero reports whether all bytes are zero.
func zero(b []byte) bool {
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}

var zeros [maxEmptyBytes]byte
