//go:build unix

package disk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var _ FS = OS{}

func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	var fs OS
	require.NoError(t, fs.MkdirAll(dir, 0o700))
	name := filepath.Join(dir, "file")
	f, err := fs.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	require.NoError(t, f.Allocate(1<<20))
	size, err := f.Size()
	require.NoError(t, err)
	assert.EqualValues(t, 1<<20, size)
	buf := make([]byte, 5)
	_, err = f.ReadAt(buf, 1<<19)
	require.NoError(t, err)
	assert.Equal(t, make([]byte, 5), buf, "reserved bytes read as zero")
	_, err = f.WriteAt([]byte("hello"), 10)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Truncate(12))
	n, err := f.ReadAt(buf, 10)
	assert.Equal(t, 2, n)
	assert.ErrorIs(t, err, io.EOF)
	require.NoError(t, f.Close())
	assert.Error(t, f.Sync())

	require.NoError(t, fs.Rename(name, name+"2"))
	require.NoError(t, fs.MkdirAll(filepath.Join(dir, "inner"), 0o700))
	require.NoError(t, fs.SyncDir(dir))
	entries, err := fs.ReadDir(dir)
	require.NoError(t, err)
	assert.Equal(t, []Entry{{Name: "file2", Size: 12}}, entries, "without directories")
	require.NoError(t, fs.Remove(name+"2"))
	assert.ErrorIs(t, fs.Remove(name+"2"), os.ErrNotExist)
}

func TestLock(t *testing.T) {
	var fs OS
	name := filepath.Join(t.TempDir(), "lock")
	lock, err := fs.Lock(name)
	require.NoError(t, err)
	_, err = fs.Lock(name)
	assert.ErrorIs(t, err, ErrLocked)
	assertLocked(t, name, true)
	require.NoError(t, lock.Close())
	assertLocked(t, name, false)
	lock, err = fs.Lock(name)
	require.NoError(t, err)
	require.NoError(t, lock.Close())
}

func assertLocked(t *testing.T, name string, want bool) {
	t.Helper()
	locked, err := OS{}.Locked(name)
	require.NoError(t, err)
	assert.Equal(t, want, locked)
}

func TestLookingForALockMakesNoFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	assertLocked(t, name, false)
	assert.NoFileExists(t, name)
}

func TestPermissionsAreTightened(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, OS{}.MkdirAll(dir, 0o700))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestFree(t *testing.T) {
	free, total, err := OS{}.Free(t.TempDir())
	require.NoError(t, err)
	assert.Positive(t, free)
	assert.GreaterOrEqual(t, total, free)
	_, _, err = OS{}.Free(filepath.Join(t.TempDir(), "none"))
	assert.True(t, errors.Is(err, os.ErrNotExist))
}
