package disktest_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool/disk"
	"github.com/reporterd/reporterd/spool/disk/disktest"
)

func TestNamesLastOnceTheirDirectoryIsSynced(t *testing.T) {
	d := disktest.New(disktest.Options{Seed: 4})
	openNew(t, d, "old")
	openNew(t, d, "gone")
	f, err := d.OpenFile("fresh", os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	write(t, f, 0, []byte("synced"))
	require.NoError(t, f.Sync())
	require.NoError(t, d.Rename("old", "new"))
	require.NoError(t, d.Remove("gone"))

	seen := map[string]int{}
	for range draws {
		next := d.Crash()
		seen[names(t, next, ".")]++
		if got := content(t, next, "fresh"); got != nil {
			require.Equal(t, "synced", string(got))
		}
	}
	assert.Len(t, seen, 8, "created, renamed and removed or not, independently of each other: %v", seen)
	for listing := range seen {
		assert.NotEqual(t, strings.Contains(listing, "old"), strings.Contains(listing, "new"),
			"a rename is atomic: %s", listing)
	}
}

func TestSyncDirMakesNamesDurable(t *testing.T) {
	d := disktest.New(disktest.Options{Seed: 5})
	openNew(t, d, "old")
	require.NoError(t, d.Rename("old", "new"))
	require.NoError(t, d.SyncDir("."))
	for range draws {
		require.Equal(t, "new ", names(t, d.Crash(), "."))
	}
}

// A SyncDir that fails may make some changes durable, and those of one name in their order.
func TestSyncDirThatFailsKeepsTheOrderOfAName(t *testing.T) {
	for seed := range uint64(draws) {
		d := disktest.New(disktest.Options{Seed: seed})
		for range 3 {
			openNew(t, d, "a")
			require.NoError(t, d.Remove("a"))
		}
		f := openNew(t, d, "a")
		write(t, f, 0, []byte("last"))
		require.NoError(t, f.Sync())
		d.Inject(disktest.Fault{On: disktest.SyncDir, Landed: disktest.Some})
		require.Error(t, d.SyncDir("."))
		require.NoError(t, d.SyncDir("."))
		require.Equal(t, "last", string(content(t, d.Crash(), "a")), "seed %d", seed)
	}
}

func TestDirectoryIsANameToo(t *testing.T) {
	d := disktest.New(disktest.Options{Seed: 6})
	require.NoError(t, d.MkdirAll("data/journal", 0o700))
	f, err := d.OpenFile("data/journal/1", os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, d.SyncDir("data/journal"))
	require.NoError(t, d.SyncDir("data"))

	var lost, kept int
	for range draws {
		if content(t, d.Crash(), "data/journal/1") == nil {
			lost++
		} else {
			kept++
		}
	}
	assert.Positive(t, lost, "the name data was never synced")
	assert.Positive(t, kept)
}

func TestNamesFollowPOSIX(t *testing.T) {
	d := disktest.New(disktest.Options{})
	f := openNew(t, d, "log")
	write(t, f, 0, []byte("abc"))
	_, err := d.OpenFile("log", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	assert.ErrorIs(t, err, os.ErrExist)
	_, err = d.OpenFile("none", os.O_RDWR, 0)
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = d.OpenFile("none/log", os.O_CREATE|os.O_RDWR, 0o600)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorIs(t, d.Remove("none"), os.ErrNotExist)
	assert.ErrorIs(t, d.Rename("none", "x"), os.ErrNotExist)
	assert.ErrorIs(t, d.SyncDir("none"), os.ErrNotExist)
	_, err = d.ReadDir("none")
	assert.ErrorIs(t, err, os.ErrNotExist)
	r, err := d.OpenFile("log", os.O_RDONLY, 0)
	require.NoError(t, err)
	_, err = r.WriteAt([]byte("x"), 0)
	assert.ErrorIs(t, err, syscall.EBADF)
	_, err = d.OpenFile("log", os.O_RDWR|os.O_TRUNC, 0)
	require.NoError(t, err)
	assert.Empty(t, content(t, d, "log"))
	require.NoError(t, f.Close())
	assert.ErrorIs(t, f.Close(), os.ErrClosed)
	_, err = f.WriteAt([]byte("x"), 0)
	assert.ErrorIs(t, err, os.ErrClosed)

	held, err := d.Lock("lock")
	require.NoError(t, err)
	_, err = d.Lock("lock")
	assert.ErrorIs(t, err, disk.ErrLocked)
	require.NoError(t, held.Close())
	_, err = d.Lock("lock")
	assert.NoError(t, err)
}
