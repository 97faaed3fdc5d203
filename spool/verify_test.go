package spool

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// verify returns what Verify says of each file that it says anything but "fine" of, and the verdict.
func verify(t *testing.T, o Options) (map[string]FileReport, Verdict) {
	t.Helper()
	found := map[string]FileReport{}
	verdict, err := Verify(t.Context(), InspectOptions{Dir: o.Dir, FS: o.FS}, func(r FileReport) error {
		if r.State != StateFine {
			found[r.File] = r
		}
		return nil
	})
	require.NoError(t, err)
	return found, verdict
}

// What Verify says that recovery would do is what recovery then does.
func TestVerifyForetellsRecovery(t *testing.T) {
	flip := func(at int64) func([]byte) []byte {
		return func(data []byte) []byte { data[at] ^= 4; return data }
	}
	_, _, frames := filled(t)
	for name, test := range map[string]struct {
		alter  func([]byte) []byte
		state  FileState
		detail string
	}{
		"untouched":              {func(d []byte) []byte { return d }, "", ""},
		"footer cut off":         {func(d []byte) []byte { return d[:frames[5]] }, StateShort, "bytes are missing at its end"},
		"flip in a payload":      {flip(frames[1] + 100), StateDamaged, "bytes at offset"},
		"flips in two frames":    {func(d []byte) []byte { return flip(frames[1] + 50)(flip(frames[3] + 50)(d)) }, StateDamaged, "and 1 ranges"},
		"flip in the last frame": {flip(frames[4] + 100), StateDamaged, "would be quarantined"},
		"cut off in the middle":  {func(d []byte) []byte { return d[:frames[4]+200] }, StateShort, "bytes are missing at its end"},
		"a hole at its end": {func(d []byte) []byte {
			d = append(d, make([]byte, 64<<20-len(d))...)
			clear(d[frames[4]+100:])
			return d
		}, StateTorn, "never acknowledged"},
	} {
		t.Run(name, func(t *testing.T) {
			o, file, _ := filled(t)
			change(t, file, test.alter)
			before := contents(t, o.Dir)
			reports, verdict := verify(t, o)
			assert.Equal(t, before, contents(t, o.Dir), "nothing was touched")
			report := reports["journal/"+filepath.Base(file)]
			assert.Equal(t, test.state, report.State)
			assert.Contains(t, report.Detail, test.detail)
			assert.Equal(t, test.state == StateDamaged || test.state == StateShort, verdict.Damaged > 0)

			_, found := open(t, o)
			assert.Equal(t, found.Damaged, append([]wal.Range(nil), report.Damaged...))
			assert.Equal(t, found.Torn, append([]wal.Range(nil), report.Torn...))
			assert.Equal(t, len(found.Short) > 0, report.Missing > 0)
		})
	}
}

func TestVerifyReadsDeadLetters(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(goldenDir)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "deadletters", "000000000006-0000-0000.json"), []byte("{"), 0o600))
	reports, verdict := verify(t, Options{Dir: dir})
	assert.Equal(t, StateDamaged, reports["deadletters/000000000006-0000-0000.json"].State)
	assert.Equal(t, 1, verdict.Letters)
	assert.Equal(t, 1, verdict.Damaged)
	assert.Equal(t, 1, verdict.Quarantined)
}

// An end that is being written is no damage while a process has the lock, and torn when none has.
func TestVerifyOfAnEndInFlight(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	appendAll(t, s, someEvents(10))
	name := s.journal.log.Last().Name()
	file, err := os.OpenFile(filepath.Join(o.Dir, "journal", name), os.O_RDWR, 0)
	require.NoError(t, err)
	payload := append(make([]byte, wal.FrameHead), "half of what is to be written"...)
	wal.NewFrame(wal.FrameData, 11, 10, bytes.Repeat([]byte{1}, 5000)).Put(payload)
	_, err = file.WriteAt(payload, s.journal.log.Extent().End)
	require.NoError(t, errors.Join(err, file.Close()))

	reports, verdict := verify(t, o)
	assert.Equal(t, StateInFlight, reports["journal/"+name].State)
	assert.True(t, verdict.InUse)
	assert.Zero(t, verdict.Damaged)

	require.NoError(t, s.presence.Close())
	reports, verdict = verify(t, o)
	assert.Equal(t, StateTorn, reports["journal/"+name].State)
	assert.Zero(t, verdict.Damaged)
}

// threeSegments returns a directory with a journal of three segments and what they are called.
func threeSegments(t *testing.T) (o Options, names []string) {
	t.Helper()
	o = Options{Dir: t.TempDir(), SegmentBytes: leastSegment}
	s, _ := open(t, o)
	for range 3 {
		appendAll(t, s, someEvents(20))
	}
	require.NoError(t, s.Close())
	entries, err := os.ReadDir(filepath.Join(o.Dir, "journal"))
	require.NoError(t, err)
	require.Len(t, entries, 3)
	for _, e := range entries {
		names = append(names, filepath.Join("journal", e.Name()))
	}
	return o, names
}

func TestVerifyPassesOverWhatIsRemovedMeanwhile(t *testing.T) {
	o, names := threeSegments(t)
	states := map[string]FileState{}
	_, err := Verify(t.Context(), InspectOptions{Dir: o.Dir}, func(r FileReport) error {
		if len(states) == 0 {
			require.NoError(t, os.Remove(filepath.Join(o.Dir, names[1])))
		}
		states[r.File] = r.State
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, map[string]FileState{names[0]: StateFine, names[1]: StateGone, names[2]: StateFine}, states)

	reports, verdict := verify(t, o)
	assert.Contains(t, reports[names[2]].Detail, "entries 21 to 40 are missing before it")
	assert.Equal(t, 1, verdict.Damaged, "a hole that was there from the beginning")
}

func TestVerifyReportsProgressAndEndsWithItsContext(t *testing.T) {
	o, _ := threeSegments(t)
	var seen []int64
	files, last := 0, int64(0)
	_, err := Verify(t.Context(), InspectOptions{Dir: o.Dir, Progress: func(done, total int64) {
		assert.LessOrEqual(t, done, total)
		seen, last = append(seen, done), total
	}}, func(FileReport) error { files++; return nil })
	require.NoError(t, err)
	assert.IsNonDecreasing(t, seen)
	assert.Equal(t, last, seen[len(seen)-1])

	ctx, cancel := context.WithCancel(t.Context())
	read := 0
	_, err = Verify(ctx, InspectOptions{Dir: o.Dir}, func(FileReport) error { read++; cancel(); return nil })
	assert.ErrorIs(t, err, context.Canceled)
	assert.Less(t, read, files)
}

func TestVerifyOfSupersededAndForeignFiles(t *testing.T) {
	o, names := threeSegments(t)
	again := filepath.Join(o.Dir, names[1][:len(names[1])-len("0000.seg")]+"0001.seg")
	data, err := os.ReadFile(filepath.Join(o.Dir, names[1]))
	require.NoError(t, err)
	first, _, _ := wal.ParseSegmentName(filepath.Base(again))
	(&wal.Segment{First: first, Try: 1, Size: int64(len(data))}).PutHead(data, wal.Journal)
	require.NoError(t, os.WriteFile(again, data, 0o600))
	foreign := &wal.Segment{First: 99}
	head := make([]byte, wal.SegmentHead)
	foreign.PutHead(head, wal.IDs)
	require.NoError(t, os.WriteFile(filepath.Join(o.Dir, "batches", foreign.Name()), head, 0o600))

	reports, verdict := verify(t, o)
	assert.Equal(t, StateSuperseded, reports[names[1]].State)
	assert.Equal(t, StateForeign, reports["batches/"+foreign.Name()].State)
	assert.Equal(t, 1, verdict.Damaged)
}

func TestListSegments(t *testing.T) {
	o, names := threeSegments(t)
	var listed []Segment
	list := func() {
		listed = nil
		require.NoError(t, ListSegments(t.Context(), InspectOptions{Dir: o.Dir}, func(s Segment) error {
			listed = append(listed, s)
			return nil
		}))
	}
	list()
	require.Len(t, listed, 3)
	for i, s := range listed {
		assert.Equal(t, names[i], s.File)
		assert.Equal(t, []uint64{uint64(20*i + 1), uint64(20*i + 21)}, []uint64{s.First, s.Next})
		assert.Equal(t, 1, s.Frames)
		assert.Equal(t, SegmentClosed, s.State)
		assert.Equal(t, s.Size, s.Bytes)
	}
	s, _ := open(t, o)
	appendAll(t, s, someEvents(1))
	list()
	assert.Equal(t, SegmentActive, listed[3].State)
}
