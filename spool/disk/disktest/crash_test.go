package disktest_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool/disk"
	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// draws is how many outcomes of one crash a test looks at: enough to see each that it names.
const draws = 200

// openNew makes a file, with its name durable.
func openNew(t *testing.T, d *disktest.Disk, name string) disk.File {
	t.Helper()
	f, err := d.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	require.NoError(t, err)
	require.NoError(t, d.SyncDir("."))
	return f
}

// write writes and insists.
func write(t *testing.T, f disk.File, off int64, p []byte) {
	t.Helper()
	n, err := f.WriteAt(p, off)
	require.NoError(t, err)
	require.Equal(t, len(p), n)
}

// content reads a whole file of a disk, or returns nil when it does not exist.
func content(t *testing.T, d *disktest.Disk, name string) []byte {
	t.Helper()
	f, err := d.OpenFile(name, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	size, err := f.Size()
	require.NoError(t, err)
	p := make([]byte, size)
	if size > 0 {
		_, err = f.ReadAt(p, 0)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	return p
}

// names returns the files of a directory, joined.
func names(t *testing.T, d *disktest.Disk, dir string) string {
	t.Helper()
	entries, err := d.ReadDir(dir)
	require.NoError(t, err)
	var s string
	for _, e := range entries {
		s += e.Name + " "
	}
	return s
}

// fill returns n bytes of one value.
func fill(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

func TestCrashKeepsWhatWasSyncedAndTearsTheRest(t *testing.T) {
	d := disktest.New(disktest.Options{Seed: 1})
	f := openNew(t, d, "log")
	write(t, f, 0, fill('a', 700))
	require.NoError(t, f.Sync())
	write(t, f, 700, fill('b', 2000))

	var whole, none, hole int
	for range draws {
		got := content(t, d.Crash(), "log")
		require.GreaterOrEqual(t, len(got), 700)
		require.Equal(t, fill('a', 700), got[:700], "synced bytes")
		rest := got[700:]
		for off, b := range rest { // a sector is written wholly or not at all
			if at := 700 + off; at%512 != 0 && off > 0 {
				require.Equal(t, rest[off-1], b, "torn inside a sector at %d", at)
			}
		}
		switch n := bytes.Count(rest, []byte("b")); {
		case n == 2000:
			whole++
		case n == 0:
			none++
		case bytes.Contains(rest, []byte("\x00b")):
			hole++ // a later sector without an earlier one
		}
	}
	assert.Positive(t, whole, "everything kept")
	assert.Positive(t, none, "everything lost")
	assert.Positive(t, hole, "out of order")
}

func TestCrashLeavesOneVersionOfASector(t *testing.T) {
	d := disktest.New(disktest.Options{Seed: 2})
	f := openNew(t, d, "log")
	write(t, f, 0, []byte("....."))
	require.NoError(t, f.Sync())
	write(t, f, 0, []byte("1"))
	write(t, f, 2, []byte("2"))

	seen := map[string]int{}
	for range draws {
		seen[string(content(t, d.Crash(), "log"))]++
	}
	for _, version := range []string{".....", "1....", "1.2.."} {
		assert.Positive(t, seen[version], version)
	}
	assert.Len(t, seen, 3, "%v", seen)
}

func TestCrashAfterCutLeavesOldOrNewSize(t *testing.T) {
	d := disktest.New(disktest.Options{Seed: 3})
	f := openNew(t, d, "log")
	write(t, f, 0, fill('a', 2048))
	require.NoError(t, f.Sync())
	require.NoError(t, f.Truncate(512))

	sizes := map[int]int{}
	for range draws {
		sizes[len(content(t, d.Crash(), "log"))]++
	}
	assert.Positive(t, sizes[512])
	assert.Positive(t, sizes[2048])
	assert.Len(t, sizes, 2)
}

func TestWhatWasCutOffReadsAsZero(t *testing.T) {
	d := disktest.New(disktest.Options{})
	f := openNew(t, d, "log")
	write(t, f, 0, fill('a', 2048))
	require.NoError(t, f.Truncate(700))
	require.NoError(t, f.Truncate(2048))
	want := append(fill('a', 700), fill(0, 1348)...)
	assert.Equal(t, want, content(t, d, "log"))
	require.NoError(t, f.Sync())
	assert.Equal(t, want, content(t, d.Crash(), "log"))
}

func TestKillKeepsThePageCache(t *testing.T) {
	d := disktest.New(disktest.Options{Seed: 7})
	f, err := d.OpenFile("log", os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	write(t, f, 0, fill('a', 600))

	next := d.Kill()
	require.Equal(t, fill('a', 600), content(t, next, "log"), "the machine is still up")
	var lost int
	for range draws {
		if len(content(t, next.Crash(), "log")) < 600 {
			lost++
		}
	}
	assert.Positive(t, lost, "what no life synced is lost with the power")
}

func TestAnEndedLifeTouchesNothing(t *testing.T) {
	for _, end := range []struct {
		name string
		next func(*disktest.Disk) *disktest.Disk
	}{{"crash", (*disktest.Disk).Crash}, {"kill", (*disktest.Disk).Kill}} {
		t.Run(end.name, func(t *testing.T) {
			d := disktest.New(disktest.Options{Seed: 8})
			f := openNew(t, d, "log")
			write(t, f, 0, []byte("before"))
			require.NoError(t, f.Sync())
			_, err := d.Lock("lock")
			require.NoError(t, err)
			require.NoError(t, d.SyncDir("."))
			next := end.next(d)

			_, err = f.WriteAt([]byte("after!"), 0)
			assert.ErrorIs(t, err, disktest.ErrStopped)
			_, err = f.ReadAt(make([]byte, 1), 0)
			assert.ErrorIs(t, err, disktest.ErrStopped)
			_, err = f.Size()
			assert.ErrorIs(t, err, disktest.ErrStopped)
			_, err = d.OpenFile("x", os.O_CREATE|os.O_RDWR, 0o600)
			assert.ErrorIs(t, err, disktest.ErrStopped)
			assert.ErrorIs(t, f.Sync(), disktest.ErrStopped)
			assert.ErrorIs(t, f.Truncate(0), disktest.ErrStopped)
			assert.ErrorIs(t, f.Allocate(9), disktest.ErrStopped)
			assert.ErrorIs(t, d.Remove("log"), disktest.ErrStopped)
			assert.ErrorIs(t, d.Rename("log", "y"), disktest.ErrStopped)
			assert.ErrorIs(t, d.SyncDir("."), disktest.ErrStopped)
			assert.ErrorIs(t, d.MkdirAll("z", 0o700), disktest.ErrStopped)
			assert.ErrorIs(t, f.Close(), disktest.ErrStopped)

			assert.Equal(t, "before", string(content(t, next, "log")))
			assert.Equal(t, "lock log ", names(t, next, "."))
			_, err = next.Lock("lock")
			assert.NoError(t, err, "locks end with the life")
		})
	}
}

func TestSameSeedSameCrash(t *testing.T) {
	run := func() string {
		d := disktest.New(disktest.Options{Seed: 9})
		for k := range 4 {
			f := openNew(t, d, fmt.Sprint(k))
			write(t, f, 0, fill('a', 5000))
			require.NoError(t, d.Rename(fmt.Sprint(k), fmt.Sprint("r", k)))
		}
		next := d.Crash()
		s := names(t, next, ".")
		for _, name := range next.Files() {
			s += string(content(t, next, name))
		}
		return s
	}
	assert.Equal(t, run(), run())
}

func TestStopAfterReachesEveryPoint(t *testing.T) {
	work := func(d *disktest.Disk) error {
		f, err := d.OpenFile("log", os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt([]byte("a"), 0); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		return d.SyncDir(".")
	}
	whole := disktest.New(disktest.Options{})
	require.NoError(t, work(whole))
	require.Equal(t, 4, whole.Changes())
	for n := range whole.Changes() {
		d := disktest.New(disktest.Options{})
		d.StopAfter(n)
		assert.ErrorIs(t, work(d), disktest.ErrStopped, "after %d changes", n)
		assert.True(t, d.Stopped())
	}
}

func TestCrashUnderLoad(t *testing.T) {
	d := disktest.New(disktest.Options{Seed: 10})
	var synced [4]int64 // by writer, owned by its goroutine until the group ends
	var writers sync.WaitGroup
	for w := range synced {
		f := openNew(t, d, fmt.Sprint(w))
		writers.Go(func() {
			for off := int64(0); ; off += 100 {
				if _, err := f.WriteAt(fill('x', 100), off); err != nil {
					return
				}
				if f.Sync() != nil {
					return
				}
				synced[w] = off + 100
			}
		})
	}
	d.StopAfter(500)
	writers.Wait()
	next := d.Crash()
	for w, n := range synced {
		assert.GreaterOrEqual(t, bytes.Count(content(t, next, fmt.Sprint(w)), []byte("x")), int(n))
	}
}
