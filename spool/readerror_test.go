package spool

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/spool/disk"
	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lived returns the disk of a spool that was killed: ten events delivered, ten in a live batch, ten in the journal.
func lived(t *testing.T) (o Options, d *disktest.Disk, counts Counts) {
	t.Helper()
	d = disktest.New(disktest.Options{})
	o = Options{Dir: "data", FS: d, DedupeWindow: time.Hour, SegmentBytes: minSegment}
	s, id := oneBatch(t, o, 10)
	require.NoError(t, s.Resolve(id, delivered(BatchInfo{Transactions: 10})))
	appendAll(t, s, identified("a", "b", "c", "d", "e", "f", "g", "h", "i", "j"))
	cutAll(t, s)
	appendAll(t, s, someEvents(10))
	counts = s.Counts()
	d = d.Kill()
	o.FS = d
	return o, d, counts
}

// For every kind and duration of read error: a running spool waits, and reads everything afterwards.
func TestRunningReadersWaitForTheDisk(t *testing.T) {
	for name, trouble := range map[string]struct {
		on  string
		err error
	}{
		"EIO": {"read", syscall.EIO}, "EMFILE": {"open", syscall.EMFILE}, "EROFS": {"open", syscall.EROFS},
		"EACCES": {"open", syscall.EACCES}, "moved away": {"open", syscall.ENOENT}, "ESTALE": {"open read", syscall.ESTALE},
		"shortened": {"read", io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			f := &failing{FS: disktest.New(disktest.Options{})}
			s, id := oneBatch(t, Options{Dir: "data", FS: f, KeepChanges: true}, 10)
			appendAll(t, s, someEvents(10))
			tail, accounts := s.Tail(), s.ChangeFeed()
			defer func() { assert.NoError(t, tail.Close()); assert.NoError(t, accounts.Close()) }()

			f.fail(trouble.on, ".seg", trouble.err)
			for range 20 {
				_, err := s.Load(id)
				require.ErrorIs(t, err, trouble.err)
				require.NotErrorIs(t, err, wal.ErrDamaged)
				_, err = tail.step()
				require.ErrorIs(t, err, trouble.err)
				_, err = accounts.step()
				require.ErrorIs(t, err, trouble.err)
				require.ErrorIs(t, s.Ready(), trouble.err, "not ready, and why")
			}
			assert.Positive(t, s.Usage().ReadErrors["batches"])
			assert.Positive(t, s.Usage().ReadErrors["journal"])

			f.fail("", "", nil)
			b, err := s.Load(id)
			require.NoError(t, err)
			assert.Len(t, b.Transactions, 10)
			found, err := tail.step()
			require.NoError(t, err)
			require.True(t, found)
			assert.Equal(t, 10, tail.group.Count)
			found, err = accounts.step()
			require.NoError(t, err)
			require.True(t, found)
			assert.False(t, accounts.page.Missed)
			assert.Len(t, accounts.page.Events, 1)
			checkLaw(t, s, 0)
			assert.Eventually(t, func() bool { return s.Ready() == nil }, 10*time.Second, 10*time.Millisecond)
		})
	}
}

// The reader of accounts may be in the middle of a frame when a batch that it needs cannot be read.
func TestAccountsGoOnWhereTheyWereInterrupted(t *testing.T) {
	f := &failing{FS: disktest.New(disktest.Options{})}
	s, id := oneBatch(t, Options{Dir: "data", FS: f, KeepChanges: true}, 10)
	appendAll(t, s, someEvents(5))
	second := cutAll(t, s)[0]
	first := s.ChangeFeed()
	page, err := first.Next(t.Context())
	require.NoError(t, err)
	begin := page.Next
	for found := true; found; {
		found, err = first.step()
		require.NoError(t, err)
		begin = max(begin, first.page.Next)
	}
	require.NoError(t, first.Close())
	s.Booked(begin)
	require.NoError(t, s.Ambiguous(id))
	require.NoError(t, s.Resolve(second, delivered(BatchInfo{Transactions: 5})))

	again := s.ChangeFeed() // knows the batches by their place only
	defer func() { _ = again.Close() }()
	for at := range 12 {
		f.mu.Lock()
		f.hits = 0
		f.mu.Unlock()
		f.failAfter(at)
		if _, err = again.step(); err == nil {
			break
		}
		require.ErrorIs(t, err, syscall.EIO)
	}
	f.fail("", "", nil)
	var kinds []BatchEventKind
	for found := err == nil; ; {
		if found {
			assert.False(t, again.page.Missed)
			for _, a := range again.page.Events {
				kinds = append(kinds, a.Kind)
			}
		}
		if found, err = again.step(); err != nil || !found {
			require.NoError(t, err)
			break
		}
	}
	assert.Equal(t, []BatchEventKind{BatchAmbiguous, BatchEnded}, kinds, "each once")
}

// Bits that are wrong in one reading and right in the next were never wrong on the disk.
func TestWhatReadsWellTheSecondTimeIsNotDamaged(t *testing.T) {
	f := &failing{FS: disktest.New(disktest.Options{})}
	s, id := oneBatch(t, Options{Dir: "data", FS: f}, 10)
	appendAll(t, s, someEvents(10))
	f.mu.Lock()
	f.name, f.flip = "batches", 1
	f.mu.Unlock()
	_, err := s.Load(id)
	require.NoError(t, err)
	f.mu.Lock()
	f.name, f.flip = "journal", 1
	f.mu.Unlock()
	events, _ := pending(t, s)
	assert.Len(t, events, 10)
	checkLaw(t, s, 0)

	o, d, counts := lived(t)
	for _, log := range []string{"journal", "batches", "ids"} {
		for reads := 1; reads <= 1; reads++ {
			f := &failing{FS: d.Kill(), name: log + "/0", flip: reads}
			o.FS = f
			s, found, err := Open(o)
			require.NoError(t, err)
			assert.Empty(t, found.Damaged, log)
			assert.Empty(t, found.Torn, log)
			assert.Equal(t, counts, checkLaw(t, s, 0), log)
			_ = s.Close()
		}
	}
}

// Damage is set aside before anything moves past it: where that fails, nothing moves.
func TestDamageThatCannotBeSetAsideStops(t *testing.T) {
	d := disktest.New(disktest.Options{})
	f := &failing{FS: d}
	o := Options{Dir: "data", FS: f}
	s, id := oneBatch(t, o, 10)
	appendAll(t, s, someEvents(10))
	end := s.journal.log.Extent().End
	appendAll(t, s, someEvents(10))
	e := s.batches.index.live[id]
	segment, offset := "data/batches/"+e.segment.Name(), e.offset
	require.True(t, d.Flip(segment, offset+60, 0))
	_, err := s.Load(id)
	require.ErrorIs(t, err, wal.ErrDamaged)
	f.fail("create", wal.QuarantineDir, syscall.ENOSPC)
	require.ErrorIs(t, s.Lose(id), syscall.ENOSPC)
	assert.Zero(t, s.Counts().Lost)
	require.True(t, d.Flip("data/journal/"+s.journal.log.All()[0].Name(), end-5, 0))
	tail := s.Tail()
	_, err = tail.step()
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, tail.Close())
	assert.Zero(t, s.Counts().Lost)
	require.NoError(t, s.Close())

	_, _, err = Open(o)
	require.ErrorIs(t, err, syscall.ENOSPC, "nor at a start")
	f.fail("", "", nil)
	s, found := open(t, o)
	assert.Len(t, found.Damaged, 2)
	checkLaw(t, s, 20)
	kept, err := d.ReadDir("data/quarantine")
	require.NoError(t, err)
	assert.Len(t, kept, 2)
}

// A batch that turns out to be readable is not lost, by any caller of Lose.
func TestLoseKeepsWhatCanBeRead(t *testing.T) {
	f := &failing{FS: disktest.New(disktest.Options{})}
	s, id := oneBatch(t, Options{Dir: "data", FS: f}, 10)
	require.ErrorIs(t, s.Lose(id), ErrNotDamaged)
	f.fail("read", "batches", syscall.EIO)
	require.ErrorIs(t, s.Lose(id), syscall.EIO)
	f.fail("", "", nil)
	_, err := s.Load(id)
	require.NoError(t, err)
	checkLaw(t, s, 0)
}

// A directory of segments that was moved away while the spool runs costs nothing, and is used again once it is back.
func TestDirectoryMovedAwayForAWhile(t *testing.T) {
	for _, what := range []string{"batches", "."} {
		t.Run(what, func(t *testing.T) {
			root := t.TempDir()
			o := Options{Dir: root + "/data", SegmentBytes: 4 << 10}
			s, _ := open(t, o)
			var ids []BatchID
			for range 20 {
				appendAll(t, s, someEvents(10))
				ids = append(ids, cutAll(t, s)...)
			}
			appendAll(t, s, someEvents(10))
			from := o.Dir
			if what != "." {
				from += "/" + what
			}
			require.NoError(t, os.Rename(from, root+"/elsewhere"))
			for range 10 {
				for _, id := range ids {
					_, err := s.Load(id)
					require.ErrorIs(t, err, os.ErrNotExist)
					require.NotErrorIs(t, err, wal.ErrDamaged)
				}
				s.tidy()
			}
			assert.Error(t, s.Ready())
			require.NoError(t, os.Rename(root+"/elsewhere", from))
			for _, id := range ids {
				_, err := s.Load(id)
				require.NoError(t, err)
			}
			checkLaw(t, s, 0)
			assert.Eventually(t, func() bool { return s.Ready() == nil }, 10*time.Second, 10*time.Millisecond)
			deliver(t, s)
			s, _ = reopen(t, s, o)
			assert.Equal(t, Counts{Accepted: 210, Delivered: 200, Pending: 10}, checkLaw(t, s, 0))
		})
	}
}

// A segment whose file is missing, although this process did not remove it, is waited for: were the segments behind it removed, it
// could come back and outlive the records that ended its batches (I7).
func TestMissingSegmentHoldsUpTheRemovalOfLaterOnes(t *testing.T) {
	root := t.TempDir()
	o := Options{Dir: root + "/data", SegmentBytes: 4 << 10}
	s, _ := open(t, o)
	for range 60 {
		appendAll(t, s, someEvents(10))
	}
	seal := func(events uint32) { // without reading the journal
		cut, err := s.BeginCut(s.Readable())
		require.NoError(t, err)
		one := Transaction{Transaction: someEvents(1)[0].Transaction, Events: events}
		require.NoError(t, cut.Add(&Batch{Lane: LaneKey{ServiceID: "1001"}, Transactions: []Transaction{one}}))
		require.NoError(t, cut.Commit(0))
	}
	segments := func() []string {
		names, err := filepath.Glob(o.Dir + "/journal/*.seg")
		require.NoError(t, err)
		return names
	}
	before := segments()
	require.Greater(t, len(before), 2)
	require.NoError(t, os.Rename(before[0], root+"/elsewhere"))
	seal(600)
	assert.Equal(t, before[1:], segments(), "nothing behind it is removed")
	assert.ErrorIs(t, s.Ready(), os.ErrNotExist)

	require.NoError(t, os.Rename(root+"/elsewhere", before[0]))
	assert.Eventually(t, func() bool { return s.Ready() == nil }, 10*time.Second, 10*time.Millisecond)
	appendAll(t, s, someEvents(1))
	seal(1)
	assert.NotContains(t, segments(), before[0])
	assert.NotContains(t, segments(), before[1])
}

// refusesRemoval answers every removal with an error that says that the file is still there.
type refusesRemoval struct {
	disk.FS
	refuse bool
}

func (f *refusesRemoval) Remove(name string) error {
	if f.refuse && strings.HasSuffix(name, ".seg") {
		return &os.PathError{Op: "remove", Path: name, Err: syscall.EACCES}
	}
	return f.FS.Remove(name)
}

// A removal that was refused has not removed anything: a file that is missing at the next attempt was moved away.
func TestRefusedRemovalIsNoRemoval(t *testing.T) {
	root := t.TempDir()
	files := &refusesRemoval{FS: disk.OS{}, refuse: true}
	o := Options{Dir: root + "/data", SegmentBytes: 4 << 10, FS: files}
	s, _ := open(t, o)
	for range 60 {
		appendAll(t, s, someEvents(10))
	}
	before, err := filepath.Glob(o.Dir + "/journal/*.seg")
	require.NoError(t, err)
	cutAll(t, s)
	files.refuse = false
	require.NoError(t, os.Rename(before[0], root+"/elsewhere"))
	appendAll(t, s, someEvents(1))
	cutAll(t, s)
	_, err = os.Stat(before[1])
	assert.NoError(t, err, "nothing behind it is removed")
}
