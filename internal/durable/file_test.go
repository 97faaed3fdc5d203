package durable

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	all, err := os.ReadDir(dir)
	require.NoError(t, err)
	files := map[string]string{}
	for _, each := range all {
		data, err := os.ReadFile(filepath.Join(dir, each.Name()))
		require.NoError(t, err)
		files[each.Name()] = string(data)
	}
	return files
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "proofs")
	require.NoError(t, os.WriteFile(name+unfinished, []byte("a longer one that a crash left"), 0o644))
	for _, text := range []string{"one", "", "another"} {
		require.NoError(t, WriteFile(name, []byte(text), 0o600))
		assert.Equal(t, map[string]string{"proofs": text}, content(t, dir))
		info, err := os.Stat(name)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "also where a crash left a file that is open to all")
	}
}

// TestFailedWrite: the old file stays, and nothing beside it.
func TestFailedWrite(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "proofs")
	require.NoError(t, WriteFile(name, []byte("old"), 0o600))
	full := errors.New("no space left on device")
	err := Write(name, 0o600, func(w io.Writer) error {
		_, err := w.Write(make([]byte, 100_000))
		return errors.Join(err, full)
	})
	assert.ErrorIs(t, err, full)
	assert.Equal(t, map[string]string{"proofs": "old"}, content(t, dir))

	assert.ErrorIs(t, WriteFile(filepath.Join(dir, "missing", "file"), nil, 0o600), os.ErrNotExist)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "taken"), 0o700))
	assert.Error(t, WriteFile(filepath.Join(dir, "taken"), nil, 0o600), "a directory is not replaced")
	assert.NoFileExists(t, filepath.Join(dir, "taken"+unfinished))
}

func TestRename(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	require.NoError(t, os.WriteFile(from, []byte("new"), 0o600))
	require.NoError(t, os.WriteFile(to, []byte("old"), 0o600))
	require.NoError(t, Rename(from, to))
	assert.Equal(t, map[string]string{"to": "new"}, content(t, dir))
	assert.ErrorIs(t, Rename(from, to), os.ErrNotExist)
}
