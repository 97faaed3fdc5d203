package wal

import (
	"bytes"
	"encoding/binary"
	"io"
	"syscall"
	"testing"

	"github.com/reporterd/reporterd/spool/disk"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// memory is a file of bytes that counts what is read of it.
type memory struct {
	disk.File
	data []byte
	read int
	bad  int64 // badBytes from here on cannot be read; 0: all can
}

const badBytes = 4 << 10

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	m.read += len(p)
	if m.bad > 0 && off < m.bad+badBytes && off+int64(len(p)) > m.bad {
		return 0, syscall.EIO
	}
	n := copy(p, m.data[min(off, int64(len(m.data))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// sound returns a frame.
func sound(first uint64, count uint32, payload string) []byte {
	data := append(make([]byte, FrameHead), payload...)
	NewFrame(FrameData, first, count, data[FrameHead:]).Put(data)
	return data
}

func TestNoHeadIsBelievedWithAFlip(t *testing.T) {
	data := sound(7, 3, "payload")
	_, ok := ParseFrame(Journal, data)
	assert.True(t, ok)
	for bit := range FrameHead * 8 {
		data[bit/8] ^= 1 << (bit % 8)
		_, ok := ParseFrame(Journal, data)
		assert.False(t, ok, "bit %d", bit)
		data[bit/8] ^= 1 << (bit % 8)
	}
}

// A producer chooses the bytes of its events, and may put a frame into one: behind damage it is taken only
// if its numbers fit, and it cannot make the search expensive.
func TestResyncAmongForgedFrames(t *testing.T) {
	magic := binary.LittleEndian.AppendUint32(nil, frameMagic)
	data := bytes.Repeat(magic, 1<<20)
	data = append(data, sound(2, 5, "too low")...)
	data = append(data, sound(90, 11, "too high")...)
	claims := sound(12, 1, "")
	Frame{kind: FrameData, First: 12, count: 1, length: MaxFrame}.Put(claims)
	data = append(data, claims...) // longer than the file
	want := int64(len(data))
	data = append(data, sound(15, 2, "the next")...)
	file := &memory{data: data}
	s := &scanner{file: file, size: int64(len(data))}
	at, written, err := s.resync(0, 10, 100)
	require.NoError(t, err)
	assert.Equal(t, want, at)
	assert.True(t, written)
	assert.Less(t, file.read, 3*len(data))
}

func TestResyncAcrossWindows(t *testing.T) {
	for _, before := range []int{windowBytes - 3, windowBytes - 31, windowBytes, 3*windowBytes - 5} {
		data := append(make([]byte, before), sound(3, 1, "behind the zeros")...)
		s := &scanner{file: &memory{data: data}, size: int64(len(data))}
		at, _, err := s.resync(1, 1, 9)
		require.NoError(t, err)
		assert.EqualValues(t, before, at)
	}
	s := &scanner{file: &memory{data: make([]byte, 1<<20)}, size: 1 << 20}
	at, written, err := s.resync(0, 1, 9)
	require.NoError(t, err)
	assert.EqualValues(t, -1, at)
	assert.False(t, written)
}

// What cannot be read behind damage may be a frame that was acknowledged: nothing is concluded without it.
func TestResyncConcludesNothingFromWhatCannotBeRead(t *testing.T) {
	data := append(bytes.Repeat([]byte{1}, 3*badBytes), sound(3, 1, "before it")...)
	before := 3 * badBytes
	data = append(data, bytes.Repeat([]byte{2}, windowBytes)...)
	behind := len(data)
	data = append(data, sound(5, 1, "behind it")...)
	file := &memory{data: data, bad: 6 * badBytes}
	s := &scanner{file: file, size: int64(len(data))}
	for range 5 {
		_, _, err := s.resync(int64(before)+1, 4, 9)
		require.ErrorIs(t, err, syscall.EIO)
	}
	f, _, err := s.read(int64(before))
	require.NoError(t, err, "a frame is read although reading ahead of it fails")
	assert.EqualValues(t, 3, f.First)
	file.bad = 0
	at, _, err := s.resync(int64(before)+1, 4, 9)
	require.NoError(t, err)
	assert.EqualValues(t, behind, at)
}
