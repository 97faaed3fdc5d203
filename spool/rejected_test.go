package spool

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRejectedMessagesTakeNoRoomFromEvents: their letters have a quota of their own, also after a restart, and what was
// acknowledged is kept beside them.
func TestRejectedMessagesTakeNoRoomFromEvents(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, MaxBytes: 64 << 20, RejectedLetters: 50}
	s, _, err := Open(o)
	require.NoError(t, err)
	before := s.quota.InUse()
	bury := func(i int, rejected bool) (string, error) {
		payload := []byte(strings.Repeat("x", 200_000))
		return s.Bury(fmt.Sprint("m", i), "1001", Original{Subject: "usage.1001", Rejected: rejected}, payload, Reason{"malformed_message", "bad"})
	}
	first := ""
	for i := range 50 {
		id, err := bury(i, true)
		require.NoError(t, err)
		if i == 0 {
			first = id
		}
	}
	_, err = bury(50, true)
	require.ErrorContains(t, err, "the limits are 50 letters and 4194304 bytes")
	assert.Equal(t, before, s.quota.InUse(), "the quota of events is as it was")
	assert.LessOrEqual(t, s.letters.rejected.bytes.Load(), int64(50*3*fileBlock), "each is kept short")
	assert.EqualValues(t, 50, s.letters.count.Load())

	require.NoError(t, s.Close())
	s, _, err = Open(o)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	_, err = bury(51, true)
	require.Error(t, err, "it is known after a restart")
	_, err = bury(52, false)
	require.NoError(t, err, "what a stream has acknowledged is kept")
	assert.Greater(t, s.quota.InUse(), before)

	require.NoError(t, s.letters.remove(first))
	_, err = bury(53, true)
	assert.NoError(t, err, "a letter that is dropped makes room")
}

// TestImpossibleLetterIsUnknown: a name that no file can have is no failure of the disk.
func TestImpossibleLetterIsUnknown(t *testing.T) {
	s, _, err := Open(Options{Dir: t.TempDir()})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	for _, id := range []string{"nats-\x00", "nats-" + strings.Repeat("x", 300), "000000000001-0000-0000\x00"} {
		_, err := s.letters.load(id)
		assert.ErrorIs(t, err, ErrUnknownLetter, "%q", id)
	}
}
