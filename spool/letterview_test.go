package spool

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLettersAreReadBesideADaemon(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	ids := buried(t, s, 3)
	letters, err := OpenLetters(t.Context(), InspectOptions{Dir: o.Dir})
	require.NoError(t, err)
	page, next, err := letters.DeadLetters(DeadLetterQuery{Limit: 2})
	require.NoError(t, err)
	assert.Len(t, page, 2)
	assert.Equal(t, ids[1], next)
	_, err = s.Drop(ids[:1])
	require.NoError(t, err)
	_, err = letters.DeadLetter(ids[0])
	assert.ErrorIs(t, err, ErrUnknownLetter)
	d, err := letters.DeadLetter(ids[2])
	require.NoError(t, err)
	assert.Equal(t, "key2", d.UserKey)
}

// Letters that the next start would remove are not shown before it.
func TestLettersThatAreNotMeantAreNotShown(t *testing.T) {
	d := disktest.New(disktest.Options{})
	o := Options{Dir: "data", FS: d}
	s, _ := open(t, o)
	ids := buried(t, s, 2)
	appendAll(t, s, someEvents(1))
	live := cutAll(t, s)[0]
	d.Inject(disktest.Fault{On: disktest.Write, Name: "batches", Times: 2})
	require.Error(t, s.Resolve(live, Resolution{Dead: []DeadLetter{{Index: 0}}}))
	d.Inject(disktest.Fault{On: disktest.Remove, Name: "deadletters", Times: -1})
	_, err := s.Requeue(ids[:1], time.Time{})
	require.NoError(t, err)

	letters, err := OpenLetters(t.Context(), InspectOptions{Dir: o.Dir, FS: d})
	require.NoError(t, err)
	page, _, err := letters.DeadLetters(DeadLetterQuery{})
	require.NoError(t, err)
	require.Len(t, page, 1)
	assert.Equal(t, ids[1], page[0].ID)
}

// A listing that cannot read a letter says so: one without it would look complete.
func TestDeadLettersThatCannotBeRead(t *testing.T) {
	for name, f := range map[string]disktest.Fault{
		"open": {On: disktest.Open, Err: syscall.EMFILE}, "read": {On: disktest.Read, Err: syscall.EIO},
		"gone with its directory": {On: disktest.Open, Err: os.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			d := disktest.New(disktest.Options{})
			s, _ := open(t, Options{Dir: "data", FS: d})
			appendAll(t, s, someEvents(3))
			cutAll(t, s)
			require.NoError(t, bury(t, s))
			f.Name = lettersDir
			d.Inject(f)
			_, _, err := s.DeadLetters(DeadLetterQuery{})
			require.ErrorIs(t, err, f.Err)
			page, _, err := s.DeadLetters(DeadLetterQuery{})
			require.NoError(t, err)
			assert.Len(t, page, 1)
		})
	}
}
