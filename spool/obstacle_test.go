package spool

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool/disk"
	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A file of another version that cannot be moved out of the way must not be written over.
func TestForeignFileThatCannotBeMovedEndsTheStart(t *testing.T) {
	o, file, _ := filled(t)
	change(t, file, func(d []byte) []byte { d[8] = 2; return rehead(d) })
	o.FS = &immovable{disk.OS{}}
	_, _, err := Open(o)
	require.ErrorIs(t, err, syscall.EACCES)
}

type immovable struct{ disk.OS }

func (immovable) Rename(oldName, _ string) error {
	return &os.PathError{Op: "rename", Path: oldName, Err: syscall.EACCES}
}

// A file system that became read-only is called that, and not full: it is repaired, not emptied.
func TestReadOnlyIsNotFull(t *testing.T) {
	f := &failing{FS: disktest.New(disktest.Options{})}
	f.fail("create", "spare", syscall.EROFS)
	s, _ := open(t, Options{Dir: "data", FS: f})
	err := s.Ready()
	require.ErrorIs(t, err, syscall.EROFS)
	assert.NotContains(t, err.Error(), "full")
	_, err = s.Append(context.Background(), someEvents(1))
	assertRefused(t, err, false)
	f.fail("create", "spare", syscall.ENOSPC)
	assert.ErrorContains(t, s.Ready(), "disk is full")
	_, err = s.Append(context.Background(), someEvents(1))
	assertRefused(t, err, true)
	f.fail("", "", nil)
	require.NoError(t, s.Ready())
}

// What is in the way is named, with what to do about it.
func TestWhatIsInTheWayIsNamed(t *testing.T) {
	for _, name := range []string{"deadletters", "quarantine", "journal", "batches", "ids"} {
		o := Options{Dir: t.TempDir()}
		require.NoError(t, os.WriteFile(o.Dir+"/"+name, nil, 0o600))
		_, _, err := Open(o)
		require.ErrorIs(t, err, syscall.ENOTDIR)
		assert.ErrorContains(t, err, fmt.Sprintf("%s/%s is a file and has to be a directory: move the file away and start again", o.Dir, name))
	}
	o := Options{Dir: t.TempDir()}
	require.NoError(t, os.MkdirAll(o.Dir+"/batches/spare/kept", 0o700))
	s, _ := open(t, o)
	assert.ErrorContains(t, s.Ready(), "batches/spare: is a directory: move it away")
	require.NoError(t, os.RemoveAll(o.Dir+"/batches/spare"))
	require.NoError(t, s.Ready())

	o = Options{Dir: t.TempDir()}
	require.NoError(t, os.MkdirAll(o.Dir+"/batches/spare", 0o700))
	s, _ = open(t, o)
	require.NoError(t, s.Ready(), "an empty one is removed")
}

func assertRefused(t *testing.T, err error, full bool) {
	t.Helper()
	var refused *event.Refused
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, full, refused.Full, "%v", err)
}

// rehead makes the checksum of a segment's changed head hold.
func rehead(data []byte) []byte {
	binary.LittleEndian.PutUint32(data[28:], crc32.Checksum(data[:28], castagnoli))
	return data
}

// A directory of dead letters that is moved away for a moment does not make a requeued letter's file gone.
func TestMissingDirectoryOfLettersProvesNothing(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, id := oneBatch(t, o, 1)
	require.NoError(t, s.Resolve(id, Resolution{Dead: []DeadLetter{{Index: 0}}}))
	page, _, err := s.DeadLetters(DeadLetterQuery{})
	require.NoError(t, err)
	require.Len(t, page, 1)
	letters := &returning{FS: disk.OS{}, dir: o.Dir + "/" + lettersDir}
	s.letters.fs = letters
	_, err = s.Requeue([]string{page[0].ID}, time.Time{})
	require.NoError(t, err)
	assert.Len(t, s.batches.index.requeuedLetters(), 1, "its record is kept as long as its file may be there")
	letters.back = true
	s.removeRequeued()
	assert.Empty(t, s.batches.index.requeuedLetters())
	s, _ = reopen(t, s, o)
	assert.Equal(t, Counts{Accepted: 1, Pending: 1}, checkLaw(t, s, 0))
}

// returning is a file system on which the files of a directory are missing once they were opened twice, until it is back.
type returning struct {
	disk.FS
	dir   string
	opens int
	back  bool
}

func (r *returning) OpenFile(name string, flag int, perm os.FileMode) (disk.File, error) {
	if filepath.Dir(name) == r.dir {
		if r.opens++; r.opens > 2 && !r.back {
			return nil, &os.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
		}
	}
	return r.FS.OpenFile(name, flag, perm)
}
