package spool_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// ownDirectories is how many directories a start syncs before the one that contains the data directory.
const ownDirectories = 5

// A start accepts nothing while the name of its directory cannot be made durable, unless another user made that name: then all
// that a power failure could take away would be gone without a word.
func TestDirectoryThatMayBeWrittenAndNotRead(t *testing.T) {
	d := disktest.New(disktest.Options{})
	d.Inject(disktest.Fault{On: disktest.SyncDir, Err: syscall.EACCES, Skip: ownDirectories, Times: -1})
	_, _, err := spool.Open(spool.Options{Dir: "a/data", FS: d})
	require.ErrorIs(t, err, syscall.EACCES)
	assert.ErrorContains(t, err, "a may be written and not read, so names in it cannot be made durable: grant read permission")
}

func TestDirectoryOfAnotherUser(t *testing.T) {
	d := disktest.New(disktest.Options{})
	d.Inject(disktest.Fault{On: disktest.SyncDir, Err: syscall.EACCES, Skip: ownDirectories, Times: 2})
	d.Inject(disktest.Fault{On: disktest.Create, Name: "probe", Err: syscall.EACCES, Times: -1})
	require.NoError(t, openAt(t, d).Close())
}
