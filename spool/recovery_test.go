package spool

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/spool/disk"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// filled returns the directory of a closed spool with five groups of ten events in one segment, and where
// the frames of that segment begin.
func filled(t *testing.T) (o Options, file string, frames []int64) {
	t.Helper()
	o = Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	for range 5 {
		appendAll(t, s, someEvents(10))
	}
	require.NoError(t, s.Close())
	forget(t, o)
	file = filepath.Join(o.Dir, "journal", "00000000000000000001-0000.seg")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	for at := int64(wal.SegmentHead); at < int64(len(data)); {
		f, ok := wal.ParseFrame(wal.Journal, data[at:])
		require.True(t, ok)
		frames = append(frames, at)
		at += f.Size()
	}
	require.Len(t, frames, 6, "five groups and a footer")
	return o, file, frames
}

// forget removes the manifest, as a directory has none that was written before there was one: what the logs
// alone tell is what counts then.
func forget(t *testing.T, o Options) {
	t.Helper()
	for _, name := range manifestNames {
		require.NoError(t, os.Remove(filepath.Join(o.Dir, name)))
	}
}

// change alters a file in place.
func change(t *testing.T, file string, alter func(data []byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, alter(data), 0o600))
}

func TestDamage(t *testing.T) {
	flip := func(at int64) func([]byte) []byte {
		return func(data []byte) []byte { data[at] ^= 4; return data }
	}
	_, _, frames := filled(t)
	ofLog := func(log byte) func([]byte) []byte { // the third frame, with both checksums right
		return func(data []byte) []byte {
			head := data[frames[2]:][:wal.FrameHead]
			head[5] = log
			binary.LittleEndian.PutUint32(head[28:], crc32.Checksum(head[:28], crc32.MakeTable(crc32.Castagnoli)))
			return data
		}
	}
	for name, test := range map[string]struct {
		alter            func([]byte) []byte
		accepted, lost   uint64
		torn, damaged    int
		quarantinedFiles int
	}{
		"untouched":                   {func(d []byte) []byte { return d }, 50, 0, 0, 0, 0},
		"flip in a payload":           {flip(frames[1] + 100), 50, 10, 0, 1, 1},
		"flip in a frame's head":      {flip(frames[2] + 9), 50, 10, 0, 1, 1},
		"a frame of the batch log":    {ofLog(byte(wal.Batches)), 50, 10, 0, 1, 1}, // a misdirected write
		"a frame of version 0.1":      {ofLog(0), 50, 0, 0, 0, 0},
		"flip in a magic":             {flip(frames[2]), 50, 10, 0, 1, 1},
		"flips in two frames":         {func(d []byte) []byte { return flip(frames[1] + 50)(flip(frames[3] + 50)(d)) }, 50, 20, 0, 2, 2},
		"flips in neighbours":         {func(d []byte) []byte { return flip(frames[1])(flip(frames[2])(d)) }, 50, 20, 0, 1, 1},
		"flip in the segment's head":  {flip(3), 50, 0, 0, 1, 0},
		"flip in the last frame":      {flip(frames[4] + 100), 50, 10, 0, 1, 1},
		"flip in the footer":          {flip(frames[5] + 8), 50, 0, 1, 0, 0},
		"last frame, without footer":  {func(d []byte) []byte { return flip(frames[4] + 100)(d[:frames[5]]) }, 50, 10, 0, 1, 1},
		"footer cut off":              {func(d []byte) []byte { return d[:frames[5]] }, 50, 0, 0, 0, 0},
		"cut off in the last frame":   {func(d []byte) []byte { return d[:frames[4]+200] }, 40, 0, 1, 0, 0},
		"cut off in the second frame": {func(d []byte) []byte { return d[:frames[1]+40] }, 10, 0, 1, 0, 0},
		"torn: a hole of zeros": {func(d []byte) []byte {
			d = d[:frames[5]]
			clear(d[frames[4]+100:])
			return append(d, make([]byte, 1<<20)...)
		}, 40, 0, 1, 0, 0},
		"reserved space behind the end": {func(d []byte) []byte { return append(d[:frames[5]], make([]byte, 1<<20)...) }, 50, 0, 0, 0, 0},
		"emptied":                       {func([]byte) []byte { return nil }, 0, 0, 0, 0, 0},
		"only a head":                   {func(d []byte) []byte { return d[:wal.SegmentHead] }, 0, 0, 0, 0, 0},
		"all zeros":                     {func(d []byte) []byte { clear(d); return d }, 0, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			o, file, _ := filled(t)
			change(t, file, test.alter)
			s, found := open(t, o)
			assert.Equal(t, test.lost, found.Lost)
			assert.Len(t, found.Torn, test.torn, "%+v", found.Torn)
			assert.Len(t, found.Damaged, test.damaged, "%+v", found.Damaged)
			assert.EqualValues(t, test.accepted, checkLaw(t, s, test.lost).Accepted)
			kept, err := os.ReadDir(filepath.Join(o.Dir, "quarantine"))
			require.NoError(t, err)
			assert.Len(t, kept, test.quarantinedFiles)

			appendAll(t, s, someEvents(7)) // life goes on
			cutAll(t, s)
			s, _ = reopen(t, s, o)
			checkLaw(t, s, test.lost)
			deliver(t, s)
			s, _ = reopen(t, s, o)
			assert.Equal(t, Counts{Accepted: test.accepted + 7, Delivered: test.accepted + 7 - test.lost, Lost: test.lost}, checkLaw(t, s, test.lost))
		})
	}
}

func TestDamageWhileRunning(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	for range 3 {
		appendAll(t, s, someEvents(10))
	}
	file := filepath.Join(o.Dir, "journal", "00000000000000000001-0000.seg")
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{0xff}, s.journal.log.Extent().End/2)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	events, _ := pending(t, s)
	assert.Len(t, events, 20)
	checkLaw(t, s, 10)
	cutAll(t, s)
	deliver(t, s)
	s, _ = reopen(t, s, o)
	assert.Equal(t, Counts{Accepted: 30, Delivered: 20, Lost: 10}, checkLaw(t, s, 10))
	assert.Positive(t, s.Usage().QuarantinedBytes)
}

func TestDamagedBatch(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, id := oneBatch(t, o, 10)
	appendAll(t, s, someEvents(5))
	cutAll(t, s)
	e := s.batches.index.live[id]
	change(t, filepath.Join(o.Dir, "batches", e.segment.Name()), func(d []byte) []byte { d[e.offset+60] ^= 1; return d })
	_, err := s.Load(id)
	require.ErrorIs(t, err, wal.ErrDamaged)
	assert.ErrorIs(t, s.Resolve(id, Resolution{Children: [][]int{{0, 1, 2, 3, 4}, {5, 6, 7, 8, 9}}}), wal.ErrDamaged)
	require.NoError(t, s.Lose(id))
	checkLaw(t, s, 10)
	s, found := reopen(t, s, o)
	assert.Len(t, found.Damaged, 1)
	assert.Equal(t, Counts{Accepted: 15, Pending: 5, Lost: 10}, checkLaw(t, s, 10))
	assert.Contains(t, strings.Join(found.Lines(), "\n"), "bytes damaged at offset")
}

// The record of a cut is damaged, and a later frame says that it was committed.
func TestDamagedCutRecord(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := oneBatch(t, o, 10)
	cut := s.batches.log.Extent().End
	appendAll(t, s, someEvents(5))
	cutAll(t, s)
	change(t, filepath.Join(o.Dir, "batches", s.batches.log.All()[0].Name()), func(d []byte) []byte { d[cut-2] ^= 1; return d })
	s, _ = reopen(t, s, o)
	assert.Len(t, s.Batches(), 2)
	assert.Equal(t, Counts{Accepted: 15, Pending: 15}, checkLaw(t, s, 0))
}

// A record that ended a batch is damaged: the batch is live again, and what was counted is taken back.
func TestDamagedResolution(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, id := oneBatch(t, o, 10)
	require.NoError(t, s.Resolve(id, delivered(BatchInfo{Transactions: 10})))
	record := s.batches.log.Extent().End - 5
	appendAll(t, s, someEvents(5))
	cutAll(t, s)
	change(t, filepath.Join(o.Dir, "batches", s.batches.log.All()[0].Name()), func(d []byte) []byte { d[record] ^= 1; return d })
	s, found := reopen(t, s, o)
	assert.EqualValues(t, 10, found.Undone)
	assert.Equal(t, Counts{Accepted: 15, Pending: 15}, checkLaw(t, s, 0))
}

// The journal's end is damaged, but a cut has taken it over.
func TestPositionsAreNotUsedTwice(t *testing.T) {
	o, file, frames := filled(t)
	s, _ := open(t, o)
	cutAll(t, s)
	require.NoError(t, s.Close())
	change(t, file, func(d []byte) []byte { return d[:frames[2]] })
	s, _ = open(t, o)
	appendAll(t, s, someEvents(1))
	assert.EqualValues(t, 51, checkLaw(t, s, 0).Accepted)
	require.NoError(t, s.Close())
	require.NoError(t, os.RemoveAll(filepath.Join(o.Dir, "journal")))
	s, _ = open(t, o)
	assert.EqualValues(t, 51, checkLaw(t, s, 1).Accepted, "the manifest knows of the last one")
}

// The journal's end is gone, and the batch log knows that there was more.
func TestJournalCutShort(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, id := oneBatch(t, o, 10)
	appendAll(t, s, someEvents(5))
	end := s.journal.log.Extent().End
	appendAll(t, s, someEvents(5))
	require.NoError(t, s.Attempt(id, time.Now()))
	require.NoError(t, s.Close())
	change(t, filepath.Join(o.Dir, "journal", "00000000000000000001-0000.seg"), func(d []byte) []byte { return d[:end] })
	for range 2 {
		s, _ = open(t, o)
		assert.Equal(t, Counts{Accepted: 20, Pending: 15, Lost: 5, Ambiguous: 10}, checkLaw(t, s, 5))
		require.NoError(t, s.Close())
	}
	s, _ = open(t, o)
	appendAll(t, s, someEvents(1))
	assert.Equal(t, Counts{Accepted: 21, Pending: 16, Lost: 5, Ambiguous: 10}, checkLaw(t, s, 5))
	cutAll(t, s)
	deliver(t, s)
	s, _ = reopen(t, s, o)
	assert.Equal(t, Counts{Accepted: 21, Delivered: 16, Lost: 5, Ambiguous: 10}, checkLaw(t, s, 5))
}

func TestFileOfAnotherVersionIsSetAside(t *testing.T) {
	o, file, _ := filled(t)
	change(t, file, func(d []byte) []byte {
		binary.LittleEndian.PutUint16(d[8:], 2)
		binary.LittleEndian.PutUint32(d[28:], crc32.Checksum(d[:28], castagnoli))
		return d
	})
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	s, found := open(t, o)
	require.Len(t, found.Refused, 1)
	assert.Contains(t, found.Refused[0], "another version")
	kept, err := os.ReadFile(filepath.Join(o.Dir, "quarantine", "journal-"+filepath.Base(file)))
	require.NoError(t, err)
	assert.Equal(t, before, kept)
	appendAll(t, s, someEvents(1))
}

func TestPermissions(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	require.NoError(t, os.Chmod(o.Dir, 0o755))
	oneBatch(t, o, 1)
	require.NoError(t, filepath.Walk(o.Dir, func(name string, info os.FileInfo, err error) error {
		want := os.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		assert.Equal(t, want, info.Mode().Perm(), name)
		return err
	}))
}

func TestSecondProcessIsTurnedAway(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	_, _, err := Open(o)
	require.ErrorIs(t, err, disk.ErrLocked)
	assert.ErrorContains(t, err, "in use by process")
	reopen(t, s, o)
}

// FuzzRecovery starts on anything.
func FuzzRecovery(f *testing.F) {
	dir := f.TempDir()
	s, _, err := Open(Options{Dir: dir})
	if err != nil {
		f.Fatal(err)
	}
	_, _ = s.Append(f.Context(), identified("a", "b"))
	_, _ = s.Append(f.Context(), someEvents(2))
	_ = s.Close()
	data, err := os.ReadFile(filepath.Join(dir, "journal", "00000000000000000001-0000.seg"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("journal", data)
	f.Add("batches", data[:60])
	f.Fuzz(func(t *testing.T, log string, data []byte) {
		if log != "journal" && log != "batches" && log != "ids" {
			t.Skip()
		}
		o := Options{Dir: t.TempDir(), Sync: Never, SegmentBytes: minSegment}
		require.NoError(t, os.MkdirAll(filepath.Join(o.Dir, log), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(o.Dir, log, "00000000000000000001-0000.seg"), data, 0o600))
		s, _ := open(t, o)
		c := s.Counts()
		assert.Equal(t, c.Accepted, c.Delivered+c.Dead+c.Pending+c.Lost)
		appendAll(t, s, someEvents(1))
	})
}
