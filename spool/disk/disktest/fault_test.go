package disktest_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool/disk"
	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// TestFaults crosses every operation with the two ways to fail: without effect, and although it landed.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		on     disktest.Op
		do     func(d *disktest.Disk, f disk.File) error
		landed func(t *testing.T, d *disktest.Disk) bool
	}{
		{disktest.Write, func(_ *disktest.Disk, f disk.File) error {
			n, err := f.WriteAt([]byte("new"), 0)
			if n != 0 {
				return nil
			}
			return err
		}, func(t *testing.T, d *disktest.Disk) bool { return string(content(t, d.Kill(), "log")) == "new" }},
		{disktest.Truncate, func(_ *disktest.Disk, f disk.File) error { return f.Truncate(1) },
			func(t *testing.T, d *disktest.Disk) bool { return len(content(t, d.Kill(), "log")) == 1 }},
		{disktest.Allocate, func(_ *disktest.Disk, f disk.File) error { return f.Allocate(4096) },
			func(t *testing.T, d *disktest.Disk) bool { return len(content(t, d.Kill(), "log")) == 4096 }},
		{disktest.Create, func(d *disktest.Disk, _ disk.File) error {
			_, err := d.OpenFile("new", os.O_CREATE|os.O_RDWR, 0o600)
			return err
		}, func(t *testing.T, d *disktest.Disk) bool { return content(t, d.Kill(), "new") != nil }},
		{disktest.Rename, func(d *disktest.Disk, _ disk.File) error { return d.Rename("log", "new") },
			func(t *testing.T, d *disktest.Disk) bool { return content(t, d.Kill(), "new") != nil }},
		{disktest.Remove, func(d *disktest.Disk, _ disk.File) error { return d.Remove("log") },
			func(t *testing.T, d *disktest.Disk) bool { return content(t, d.Kill(), "log") == nil }},
		{disktest.Mkdir, func(d *disktest.Disk, _ disk.File) error { return d.MkdirAll("new", 0o700) },
			func(t *testing.T, d *disktest.Disk) bool { _, err := d.Kill().ReadDir("new"); return err == nil }},
	} {
		for extent, want := range map[disktest.Extent]bool{disktest.Nothing: false, disktest.All: true} {
			d := disktest.New(disktest.Options{})
			f := openNew(t, d, "log")
			write(t, f, 0, []byte("old"))
			d.Inject(disktest.Fault{On: c.on, Landed: extent, Err: syscall.ENOSPC})
			assert.ErrorIs(t, c.do(d, f), syscall.ENOSPC, "%v", c.on)
			assert.Equal(t, want, c.landed(t, d), "%v landed", c.on)
		}
	}
}

func TestFailedSyncDropsWhatItShouldHaveSaved(t *testing.T) {
	d := disktest.New(disktest.Options{Seed: 1})
	f := openNew(t, d, "log")
	write(t, f, 0, fill('a', 512))
	require.NoError(t, f.Sync())
	write(t, f, 512, fill('b', 512))
	d.Inject(disktest.Fault{On: disktest.Sync})
	require.ErrorIs(t, f.Sync(), syscall.EIO)

	require.NoError(t, f.Sync(), "the second one lies")
	write(t, f, 1024, fill('c', 512))
	require.NoError(t, f.Sync())
	for range draws {
		want := append(append(fill('a', 512), fill(0, 512)...), fill('c', 512)...)
		require.Equal(t, want, content(t, d.Crash(), "log"))
	}
}

func TestFailedSyncMayHaveLanded(t *testing.T) {
	for extent, want := range map[disktest.Extent][]int{
		disktest.Nothing: {0}, disktest.Some: {0, 512, 1024}, disktest.All: {1024},
	} {
		seen := map[int]bool{}
		for seed := range uint64(draws) {
			d := disktest.New(disktest.Options{Seed: seed})
			f := openNew(t, d, "log")
			write(t, f, 0, fill('b', 1024))
			d.Inject(disktest.Fault{On: disktest.Sync, Landed: extent})
			require.Error(t, f.Sync())
			durable := 0
			for _, b := range d.Durable("log") {
				if b == 'b' {
					durable++
				}
			}
			seen[durable] = true
		}
		assert.Len(t, seen, len(want))
		for _, n := range want {
			assert.True(t, seen[n], "%v: %d bytes", extent, n)
		}
	}
}

func TestFailedSyncDirMayHaveLanded(t *testing.T) {
	for extent, want := range map[disktest.Extent]int{disktest.Nothing: 0, disktest.All: 1} {
		d := disktest.New(disktest.Options{})
		_, err := d.OpenFile("log", os.O_CREATE|os.O_RDWR, 0o600)
		require.NoError(t, err)
		d.Inject(disktest.Fault{On: disktest.SyncDir, Landed: extent})
		require.Error(t, d.SyncDir("."))
		assert.Len(t, d.Files(), want)
		require.NoError(t, d.SyncDir("."), "names are not dropped as pages are")
		assert.Len(t, d.Files(), 1)
	}
}

func TestShortWrite(t *testing.T) {
	d := disktest.New(disktest.Options{Seed: 1})
	f := openNew(t, d, "log")
	d.Inject(disktest.Fault{On: disktest.Write, Landed: disktest.Some, Err: syscall.ENOSPC})
	n, err := f.WriteAt(fill('a', 1000), 0)
	require.ErrorIs(t, err, syscall.ENOSPC)
	assert.Less(t, n, 1000)
	assert.Equal(t, fill('a', n), append([]byte{}, content(t, d, "log")...))
}

func TestFaultsAreAimed(t *testing.T) {
	d := disktest.New(disktest.Options{})
	a, b := openNew(t, d, "a"), openNew(t, d, "b")
	d.Inject(disktest.Fault{On: disktest.Sync | disktest.Read, Name: "b", Skip: 1, Times: 2})
	for range 5 {
		require.NoError(t, a.Sync())
	}
	require.NoError(t, b.Sync(), "skipped")
	require.Error(t, b.Sync())
	_, err := b.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, syscall.EIO)
	require.NoError(t, b.Sync(), "used up")
	assert.Contains(t, d.Trace(), "sync b: input/output error")

	d.Inject(disktest.Fault{On: disktest.Sync, Times: -1, Chance: 0.5})
	var failed int
	for range draws {
		if a.Sync() != nil {
			failed++
		}
	}
	assert.InDelta(t, draws/2, failed, draws/4)
	d.Heal()
	require.NoError(t, a.Sync())
}

func TestCapacity(t *testing.T) {
	d := disktest.New(disktest.Options{Capacity: 4096})
	f, g := openNew(t, d, "f"), openNew(t, d, "g")
	require.NoError(t, f.Allocate(2048))
	n, err := g.WriteAt(fill('g', 3000), 0)
	require.ErrorIs(t, err, syscall.ENOSPC)
	assert.Equal(t, 2048, n, "a full disk takes what fits")
	write(t, f, 0, fill('f', 2048)) // reserved
	assert.ErrorIs(t, f.Allocate(2561), syscall.ENOSPC)

	free, total, err := d.Free(".")
	require.NoError(t, err)
	assert.EqualValues(t, 0, free)
	assert.EqualValues(t, 4096, total)

	require.NoError(t, d.Remove("g"))
	free, _, _ = d.Free(".")
	assert.EqualValues(t, 0, free, "an open file keeps its space")
	require.NoError(t, g.Close())
	free, _, _ = d.Free(".")
	assert.EqualValues(t, 2048, free)
	d.SetCapacity(0)
	require.NoError(t, f.Allocate(1<<20))
}

func TestDamage(t *testing.T) {
	d := disktest.New(disktest.Options{})
	f := openNew(t, d, "log")
	write(t, f, 0, []byte("abc"))
	assert.False(t, d.Flip("log", 0, 0), "nothing is durable yet")
	require.NoError(t, f.Sync())

	require.True(t, d.Flip("log", 1, 0))
	require.True(t, d.Zero("log", 2, 1))
	assert.False(t, d.Flip("log", 3, 0))
	assert.False(t, d.Zero("none", 0, 1))
	assert.Equal(t, "ac\x00", string(content(t, d, "log")))
	assert.Equal(t, "ac\x00", string(content(t, d.Crash(), "log")))
	assert.Equal(t, []string{"log"}, d.Files())
}
