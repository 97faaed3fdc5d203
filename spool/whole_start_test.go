package spool

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// A torn end that the manifest knows to have been durable is damage: a start that cannot keep it in quarantine/ fails, and
// the next one does.
func TestTornEndThatCannotBeKeptEndsTheStart(t *testing.T) {
	d := disktest.New(disktest.Options{Seed: 1})
	o := Options{Dir: "data", FS: d}
	s, _ := open(t, o)
	appendAll(t, s, someEvents(20))
	journal := filepath.Join("data", "journal", s.journal.log.Last().Name())
	end := s.journal.log.Extent().End
	d.Stop()
	_ = s.Close()
	d = d.Kill()
	require.True(t, d.Zero(journal, end-600, 600))
	o.FS = d
	d.Inject(disktest.Fault{On: disktest.Create, Name: "quarantine/", Times: -1})
	_, _, err := Open(o)
	require.ErrorContains(t, err, "cannot be copied to quarantine")

	d.Heal()
	s, found := open(t, o)
	checkLaw(t, s, 20)
	assert.Len(t, found.Damaged, 1)
	assert.True(t, slices.ContainsFunc(d.Files(), func(name string) bool { return filepath.Dir(name) == "data/quarantine" }))
}

// vanishing takes the data directory away when a start makes the directories in it.
type vanishing struct {
	*disktest.Disk
	gone bool
}

func (v *vanishing) MkdirAll(name string, perm os.FileMode) error {
	if name == "data/journal" && !v.gone {
		v.gone = v.MoveAway("data")
	}
	return v.Disk.MkdirAll(name, perm)
}

// A directory that goes away during a start ends the start, and nothing of it is put into the one that took its name.
func TestDirectoryThatGoesAwayDuringAStart(t *testing.T) {
	d := disktest.New(disktest.Options{Seed: 1})
	s, _ := open(t, Options{Dir: "data", FS: d})
	appendAll(t, s, someEvents(20))
	require.NoError(t, s.Close())
	o := Options{Dir: "data", FS: &vanishing{Disk: d}}
	_, _, err := Open(o)
	require.ErrorIs(t, err, wal.ErrReplaced)
	assert.Nil(t, d.Durable("data/"+identityName))
	assert.Nil(t, d.Durable("data/"+manifestNames[0]))

	d.MoveBack("data")
	s, _ = open(t, o)
	assert.EqualValues(t, 20, checkLaw(t, s, 0).Accepted)
}
