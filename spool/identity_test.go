package spool

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool/disk"
)

// TestCopies: what the identity file tells about the directory. The manifest knows no time of birth.
func TestCopies(t *testing.T) {
	written := disk.Identity{Inode: 7, Changed: 1000}
	for name, c := range map[string]struct {
		now  disk.Identity
		copy bool
	}{
		"the original":                                    {disk.Identity{Inode: 7, Changed: 1000, Born: 990}, false},
		"the original, no births":                         {disk.Identity{Inode: 7, Changed: 1000}, false},
		"the original, owned by another user":             {disk.Identity{Inode: 7, Changed: 2000, Born: 990}, false},
		"the original on a file system that numbers anew": {disk.Identity{Inode: 8, Changed: 1000, Born: 990}, false},
		"a copy":            {disk.Identity{Inode: 8, Changed: 2000, Born: 2000}, true},
		"a copy, no births": {disk.Identity{Inode: 8, Changed: 2000}, true},
		"a copy in place of the original, with the same inode": {disk.Identity{Inode: 7, Changed: 2000, Born: 1990}, true},
		"not known": {disk.Identity{}, false},
	} {
		r := manifestFacts{fileNow: c.now}
		r.found, r.file, r.identity, r.id = true, written, [16]byte{1}, [16]byte{1}
		assert.Equal(t, c.copy, r.isCopy(), name)
		r.id = [16]byte{2}
		assert.False(t, r.isCopy(), "another directory's identity: %s", name)
	}
}

// TestBirthOfAFile: chmod and rename move the time of the change away from that of the birth, and not past it.
func TestBirthOfAFile(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the time of birth is read on Linux")
	}
	name := filepath.Join(t.TempDir(), "identity")
	identity := func(name string) disk.Identity {
		held, err := disk.OS{}.Hold(name)
		require.NoError(t, err)
		defer func() { require.NoError(t, held.Close()) }()
		id, err := held.Identity()
		require.NoError(t, err)
		return id
	}
	require.NoError(t, os.WriteFile(name, []byte("x"), 0o600))
	first := identity(name)
	require.NoError(t, os.Chmod(name, 0o640))
	require.NoError(t, os.Rename(name, name+"2"))
	second := identity(name + "2")
	assert.Equal(t, first.Inode, second.Inode)
	assert.Equal(t, first.Born, second.Born)
	assert.LessOrEqual(t, second.Born, first.Changed, "a file that exists is older than what was last seen of it")
}
