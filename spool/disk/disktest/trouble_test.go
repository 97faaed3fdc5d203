package disktest_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// filled makes a durable file of 4096 bytes.
func filled(t *testing.T, seed uint64) (d *disktest.Disk, name string) {
	t.Helper()
	d = disktest.New(disktest.Options{Seed: seed})
	require.NoError(t, d.MkdirAll("dir", 0o700))
	f, err := d.OpenFile("dir/log", os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	write(t, f, 0, fill('a', 4096))
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	require.NoError(t, d.SyncDir("dir"))
	require.NoError(t, d.SyncDir("."))
	return d, "dir/log"
}

// TestLiftedFaultsLeaveNothingBehind has reads, opens, listings and sizes fail for a while.
func TestLiftedFaultsLeaveNothingBehind(t *testing.T) {
	d, name := filled(t, 1)
	f, err := d.OpenFile(name, os.O_RDONLY, 0)
	require.NoError(t, err)
	lift := d.Inject(disktest.Fault{On: disktest.Read, Times: -1})
	d.Inject(disktest.Fault{On: disktest.Open | disktest.ReadDir, Times: -1, Err: syscall.EMFILE})
	d.Inject(disktest.Fault{On: disktest.Stat, Times: 2, Err: syscall.EACCES})
	_, err = f.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, syscall.EIO)
	_, err = d.OpenFile(name, os.O_RDONLY, 0)
	require.ErrorIs(t, err, syscall.EMFILE)
	_, err = d.ReadDir("dir")
	require.ErrorIs(t, err, syscall.EMFILE)
	for _, want := range []error{syscall.EACCES, syscall.EACCES, nil} {
		_, err = f.Size()
		require.ErrorIs(t, err, want)
	}
	lift()
	_, err = f.ReadAt(make([]byte, 1), 0)
	require.NoError(t, err, "the one is lifted")
	_, err = d.ReadDir("dir")
	require.ErrorIs(t, err, syscall.EMFILE, "the other is not")
	d.Heal()
	assert.Equal(t, fill('a', 4096), content(t, d, name))
	assert.Equal(t, fill('a', 4096), content(t, d.Crash(), name))
}

func TestReadFailsInARange(t *testing.T) {
	d, name := filled(t, 2)
	f, err := d.OpenFile(name, os.O_RDONLY, 0)
	require.NoError(t, err)
	d.Inject(disktest.Fault{On: disktest.Read, From: 1000, To: 1001, Times: -1, Landed: disktest.Some})
	for _, c := range []struct {
		off, n int
		want   error
	}{{0, 1000, nil}, {1001, 100, nil}, {1000, 1, syscall.EIO}, {0, 4096, syscall.EIO}} {
		p := make([]byte, c.n)
		n, err := f.ReadAt(p, int64(c.off))
		require.ErrorIs(t, err, c.want)
		assert.Equal(t, fill('a', n), p[:n], "what was read before the error is right")
	}
}

func TestLatentSectorsCanBeRewritten(t *testing.T) {
	d, name := filled(t, 3)
	assert.False(t, d.Latent(name, 4096, 1))
	require.True(t, d.Latent(name, 700, 500))
	d = d.Crash()
	f, err := d.OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	p := make([]byte, 512)
	for s, want := range []error{nil, syscall.EIO, syscall.EIO, nil} {
		_, err = f.ReadAt(p, int64(s*512))
		assert.ErrorIs(t, err, want, "sector %d", s)
	}
	write(t, f, 512, fill('b', 512))
	_, err = f.ReadAt(p, 512)
	require.NoError(t, err, "written again")
	_, err = f.ReadAt(p, 1024)
	require.ErrorIs(t, err, syscall.EIO)
	d.Heal()
	assert.Equal(t, append(append(fill('a', 512), fill('b', 512)...), fill('a', 3072)...), content(t, d, name))
}

// TestAFileComesBackBesideNoNewerOne: a file that was moved away does not overwrite one that was created under its name meanwhile
// and is durable, also where the older one's name was not durable yet.
func TestAFileComesBackBesideNoNewerOne(t *testing.T) {
	for how, back := range map[string]func(*disktest.Disk) *disktest.Disk{
		"moved back": func(d *disktest.Disk) *disktest.Disk { d.MoveBack("dir/log"); return d },
		"healed":     func(d *disktest.Disk) *disktest.Disk { d.Heal(); return d },
		"crashed":    (*disktest.Disk).Crash,
	} {
		t.Run(how, func(t *testing.T) {
			d := disktest.New(disktest.Options{Seed: 1})
			require.NoError(t, d.MkdirAll("dir", 0o700))
			require.NoError(t, d.SyncDir("."))
			const name = "dir/log"
			older, err := d.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
			require.NoError(t, err)
			write(t, older, 0, fill('o', 512))
			require.True(t, d.MoveAway(name))
			f, err := d.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
			require.NoError(t, err)
			write(t, f, 0, fill('n', 512))
			require.NoError(t, f.Sync())
			require.NoError(t, d.SyncDir("dir"))
			d = back(d)
			assert.Equal(t, fill('n', 512), content(t, d, name)[:512])
		})
	}
}

// TestWhatIsAwayComesBack moves a directory away, in its place another is made, and it comes back: by order,
// when the disk is healed, and with the next life.
func TestWhatIsAwayComesBack(t *testing.T) {
	for how, back := range map[string]func(*disktest.Disk) *disktest.Disk{
		"moved back": func(d *disktest.Disk) *disktest.Disk { d.MoveBack("dir"); return d },
		"healed":     func(d *disktest.Disk) *disktest.Disk { d.Heal(); return d },
		"crashed":    (*disktest.Disk).Crash,
		"killed":     (*disktest.Disk).Kill,
	} {
		t.Run(how, func(t *testing.T) {
			d, name := filled(t, 4)
			f, err := d.OpenFile(name, os.O_RDWR, 0)
			require.NoError(t, err)
			held, err := d.Lock("dir/lock")
			require.NoError(t, err)
			require.NoError(t, d.SyncDir("dir"))
			require.True(t, d.MoveAway("dir"))
			assert.False(t, d.MoveAway("dir"))
			_, err = d.OpenFile(name, os.O_RDWR, 0)
			require.ErrorIs(t, err, os.ErrNotExist)
			_, err = d.ReadDir("dir")
			require.ErrorIs(t, err, os.ErrNotExist)
			require.ErrorIs(t, d.SyncDir("dir"), os.ErrNotExist)
			write(t, f, 0, fill('b', 512))
			require.NoError(t, f.Sync(), "an open file goes with its directory")

			require.NoError(t, d.MkdirAll("dir", 0o700))
			assert.Empty(t, names(t, d, "dir"))
			_, err = d.Lock("dir/lock")
			require.NoError(t, err, "the held lock is on another file")
			d = back(d)
			assert.Equal(t, "lock log ", names(t, d, "dir"))
			assert.Equal(t, append(fill('b', 512), fill('a', 3584)...), content(t, d, name))
			require.NoError(t, held.Close())
		})
	}
}

func TestGarbledReadIsRightTheSecondTime(t *testing.T) {
	d, name := filled(t, 5)
	f, err := d.OpenFile(name, os.O_RDONLY, 0)
	require.NoError(t, err)
	d.Inject(disktest.Fault{On: disktest.Read, Lie: disktest.Garbled})
	p := make([]byte, 4096)
	_, err = f.ReadAt(p, 0)
	require.NoError(t, err)
	assert.NotEqual(t, fill('a', 4096), p)
	assert.Equal(t, fill('a', 4096), content(t, d, name))
}

// TestLyingSyncs reports every write as done: a phantom one is missing after the crash, of a misdirected one a
// sector is missing where it should be and stands somewhere else.
func TestLyingSyncs(t *testing.T) {
	var missing, elsewhere int
	for seed := range uint64(draws) {
		for _, lie := range []disktest.Lie{disktest.Phantom, disktest.Misdirected} {
			d, name := filled(t, seed)
			f, err := d.OpenFile(name, os.O_RDWR, 0)
			require.NoError(t, err)
			write(t, f, 4096, fill('b', 1024))
			d.Inject(disktest.Fault{On: disktest.Sync, Lie: lie})
			require.NoError(t, f.Sync())
			got := content(t, d.Crash(), name)
			lost, over := 0, 0
			for at, b := range got {
				if at < 4096 && b == 'b' {
					over++
				}
			}
			for at := 4096; at < 5120; at++ {
				if at >= len(got) || got[at] != 'b' {
					lost++
				}
			}
			if lost > 0 {
				require.NotEmpty(t, d.Lies())
				missing++
			}
			if over > 0 {
				require.Equal(t, disktest.Misdirected, lie)
				require.Equal(t, 512, over)
				elsewhere++
			}
		}
	}
	assert.Positive(t, missing)
	assert.Positive(t, elsewhere)
}

func TestPhantomSyncDir(t *testing.T) {
	d := disktest.New(disktest.Options{Seed: 6})
	openNew(t, d, "log")
	require.NoError(t, d.Rename("log", "new"))
	d.Inject(disktest.Fault{On: disktest.SyncDir, Lie: disktest.Phantom})
	require.NoError(t, d.SyncDir("."))
	seen := map[string]bool{}
	for range draws {
		_, err := d.Crash().OpenFile("new", os.O_RDONLY, 0)
		seen[map[bool]string{true: "gone", false: "there"}[errors.Is(err, os.ErrNotExist)]] = true
	}
	assert.Len(t, seen, 2)
}

// TestNestedAwayComesBack moves a file away and then its directory. In either order of moving back, both exist in the end.
func TestNestedAwayComesBack(t *testing.T) {
	for _, order := range [][]string{{"dir/log", "dir"}, {"dir", "dir/log"}} {
		d, name := filled(t, 4)
		require.Equal(t, "dir/log", name)
		require.True(t, d.MoveAway(name))
		require.True(t, d.MoveAway("dir"))
		for _, one := range order {
			d.MoveBack(one)
		}
		assert.Equal(t, "log ", names(t, d, "dir"), order)
	}
}

// TestRenamedOutOfWhatIsAway: what a directory's sync made durable stays so, also when the file's former name was taken away and
// came back in between.
func TestRenamedOutOfWhatIsAway(t *testing.T) {
	d, _ := filled(t, 4)
	create := func(name string) {
		f, err := d.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	create("dir/spare")
	require.NoError(t, d.SyncDir("dir"))
	require.NoError(t, d.Rename("dir/spare", "dir/segment"))
	create("dir/spare")
	require.True(t, d.MoveAway("dir/spare"))
	require.NoError(t, d.SyncDir("dir"))
	d.MoveBack("dir/spare")
	for range draws {
		_, err := d.Crash().OpenFile("dir/segment", os.O_RDONLY, 0)
		require.NoError(t, err)
	}
}
