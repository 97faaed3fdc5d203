package spool

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool/disk"
	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// copyInOrder copies a directory that is in use as docs/backup.md says, with usage coming in between the steps.
func copyInOrder(t *testing.T, from, to string, between func()) {
	t.Helper()
	require.NoError(t, os.MkdirAll(to, 0o700))
	for _, part := range []string{identityName, manifestNames[0], manifestNames[1], "journal", "batches", "ids", lettersDir, wal.QuarantineDir} {
		info, err := os.Stat(filepath.Join(from, part))
		require.NoError(t, err)
		if info.IsDir() {
			require.NoError(t, os.CopyFS(filepath.Join(to, part), os.DirFS(filepath.Join(from, part))))
		} else {
			data, err := os.ReadFile(filepath.Join(from, part))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(to, part), data, 0o600))
		}
		between()
	}
}

// A copy that is made while events come and go, in the order of docs/backup.md, is whole: nothing is lost, nothing
// is sent again.
func TestCopyOfADirectoryInUse(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: leastSegment, DedupeWindow: time.Hour}
	s, _ := open(t, o)
	busy := func() {
		for range 3 {
			appendAll(t, s, someEvents(10))
			cutAll(t, s)
			appendAll(t, s, someEvents(10))
		}
		deliver(t, s)
	}
	busy()
	backup := o
	backup.Dir = filepath.Join(t.TempDir(), "backup")
	copyInOrder(t, o.Dir, backup.Dir, busy)
	require.NoError(t, s.Close())
	s, found := open(t, backup)
	checkLaw(t, s, 0)
	assert.True(t, found.Copied)
	assert.Zero(t, sendable(s))
	assert.Empty(t, found.Missing)
}

func TestRestoredByWord(t *testing.T) {
	for _, resend := range []bool{false, true} {
		o := Options{Dir: t.TempDir()}
		s, _ := open(t, o)
		appendAll(t, s, someEvents(10))
		cutAll(t, s)
		appendAll(t, s, someEvents(5))
		require.ErrorIs(t, MarkRestored(o.Dir, resend), disk.ErrLocked)
		require.NoError(t, s.Close())
		before, err := os.ReadFile(filepath.Join(o.Dir, identityName))
		require.NoError(t, err)
		require.NoError(t, MarkRestored(o.Dir, resend))
		s, found := open(t, o)
		assert.True(t, found.Restored)
		after, err := os.ReadFile(filepath.Join(o.Dir, identityName))
		require.NoError(t, err)
		assert.NotEqual(t, before, after, "it is another directory")
		assert.NoFileExists(t, filepath.Join(o.Dir, RestoredName))
		checkLaw(t, s, 0)
		if resend {
			assert.Zero(t, found.Held)
			assert.EqualValues(t, 10, sendable(s))
		} else {
			assert.EqualValues(t, 15, found.Held)
			assert.Zero(t, sendable(s))
			assert.Len(t, s.Held(BatchID{}, 10), 2)
			batches, events := s.LaneHeld(s.Batches()[0].Lane)
			assert.Equal(t, []uint64{2, 15}, []uint64{uint64(batches), events})
		}
		_, found = reopen(t, s, o)
		assert.False(t, found.Restored)
		assert.Zero(t, found.Held)
	}
}

// A crash at any point of a start that parks leaves a directory whose next start parks the same.
func TestCrashWhileParking(t *testing.T) {
	for stop := range 60 {
		d := disktest.New(disktest.Options{Seed: uint64(stop)})
		o := Options{Dir: "data", FS: d}
		s, _, err := Open(o)
		require.NoError(t, err)
		appendAll(t, s, someEvents(10))
		cutAll(t, s)
		appendAll(t, s, someEvents(5))
		require.NoError(t, s.Close())
		f, err := d.OpenFile("data/"+RestoredName, os.O_RDWR|os.O_CREATE, 0o600)
		require.NoError(t, err)
		require.NoError(t, f.Sync())
		require.NoError(t, d.SyncDir("data"))
		d.StopAfter(stop)
		if s, _, err = Open(o); err == nil {
			_ = s.Close() // the disk may have stopped by then
		}
		d = d.Crash()
		o.FS = d
		s, _ = open(t, o)
		assert.Zero(t, sendable(s), "stopped after %d changes", stop)
		checkLaw(t, s, 0)
		require.NoError(t, s.Close())
	}
}

// A manifest that cannot be written fails no commit, is said, and is made anew.
func TestManifestThatCannotBeWritten(t *testing.T) {
	d := disktest.New(disktest.Options{})
	o := Options{Dir: "data", FS: d}
	s, _ := open(t, o)
	d.Inject(disktest.Fault{On: disktest.Changing, Name: "manifest", Times: -1})
	_, err := s.Append(t.Context(), []event.Event{someEvents(1)[0]})
	require.NoError(t, err)
	require.NoError(t, s.Ready())
	require.Error(t, s.manifest.failure())
	assert.True(t, s.Usage().ManifestFailing)
	d.Heal()
	s.manifest.sync()
	require.NoError(t, s.manifest.failure())
	d = d.Crash()
	o.FS = d
	s, found := open(t, o)
	assert.Equal(t, Counts{Accepted: 1, Pending: 1}, checkLaw(t, s, 0))
	assert.False(t, found.Rebuilt)
}

// A start that can leave no word in the manifest of an earlier life fails: that one was closed in good order, and would say
// of everything missing later that it is complete. A full disk is no such case: the files are written where they are.
func TestStartBesideAManifestThatCannotBeWritten(t *testing.T) {
	d := disktest.New(disktest.Options{})
	o := Options{Dir: "data", FS: d}
	s, _ := open(t, o)
	appendAll(t, s, someEvents(3))
	require.NoError(t, s.Close())

	d.Inject(disktest.Fault{On: disktest.Changing, Name: "manifest", Times: -1})
	_, _, err := Open(o)
	require.ErrorContains(t, err, "spool: write manifest: ")
	d.Heal()

	d.Inject(disktest.Fault{On: disktest.Changing, Name: newSuffix, Times: -1})
	s, _ = open(t, o)
	require.Error(t, s.manifest.failure())
	d.Heal()
	onDisk, err := s.manifest.load()
	require.NoError(t, err)
	assert.False(t, onDisk.closed, "what an earlier life said is gone")
	d = d.Kill()
	o.FS = d
	s, found := open(t, o)
	assert.False(t, found.Rebuilt)
	assert.Equal(t, Counts{Accepted: 3, Pending: 3}, checkLaw(t, s, 0))
}

// One of the two files is enough; without both, the logs alone are believed.
func TestManifestThatIsMissing(t *testing.T) {
	for missing := range 3 {
		o, _ := threeSegments(t)
		for _, name := range manifestNames[:missing] {
			require.NoError(t, os.WriteFile(filepath.Join(o.Dir, name), []byte("damaged"), 0o600))
		}
		files := journalOf(t, o)
		require.NoError(t, os.Remove(files[len(files)-1]))
		s, found := open(t, o)
		assert.Equal(t, missing > 0, found.Rebuilt)
		assert.Equal(t, missing == 0, found.Exact)
		want := uint64(20)
		if missing == 2 {
			want = 0
		}
		checkLaw(t, s, want)
	}
}
