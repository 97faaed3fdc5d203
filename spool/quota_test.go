package spool

import (
	"context"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fillUp appends until the spool refuses, and returns how many events it took.
func fillUp(t *testing.T, s *Spool) (accepted uint64) {
	t.Helper()
	for range 10_000 {
		_, err := s.Append(context.Background(), someEvents(100))
		if err == nil {
			accepted += 100
			continue
		}
		var refused *event.Refused
		require.ErrorAs(t, err, &refused)
		assert.True(t, refused.Full)
		assert.Positive(t, refused.RetryAfter)
		return accepted
	}
	t.Fatal("never full")
	return 0
}

// drain cuts and delivers everything; none of it may fail for want of space.
func drain(t *testing.T, s *Spool) {
	t.Helper()
	for s.Counts().Pending > 0 {
		cutAll(t, s)
		for _, info := range s.Batches() {
			require.NoError(t, s.Attempt(info.ID, info.Sealed))
			if info.Transactions > 200 { // splitting writes the most
				all := delivered(info).Delivered
				half := len(all) / 2
				require.NoError(t, s.Resolve(info.ID, Resolution{Children: [][]int{all[:half], all[half:]}}))
				continue
			}
			require.NoError(t, s.Resolve(info.ID, delivered(info)))
		}
	}
}

func TestFullSpoolRefusesAndDrains(t *testing.T) {
	const size = 4 << 20
	for name, make := range map[string]func() (Options, *disktest.Disk){
		"quota": func() (Options, *disktest.Disk) {
			d := disktest.New(disktest.Options{})
			return Options{Dir: "data", FS: d, MaxBytes: size}, d
		},
		"disk": func() (Options, *disktest.Disk) {
			d := disktest.New(disktest.Options{Capacity: size})
			return Options{Dir: "data", FS: d}, d
		},
		"watermark": func() (Options, *disktest.Disk) {
			d := disktest.New(disktest.Options{Capacity: 4 * size})
			return Options{Dir: "data", FS: d, MinFreeBytes: 3 * size}, d
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := make()
			s, _ := open(t, o)
			first := fillUp(t, s)
			assert.Greater(t, first, uint64(5000))
			assert.Error(t, s.Ready())
			u := s.Usage()
			assert.LessOrEqual(t, u.Bytes, int64(size))
			assert.Less(t, u.FreeBytes, s.journal.log.SegmentBytes+readyBytes, "what is kept for draining is not free")
			s, _ = reopen(t, s, o)
			assert.Error(t, s.Ready(), "a restart makes no room")
			drain(t, s)
			assert.Equal(t, Counts{Accepted: first, Delivered: first}, checkLaw(t, s, 0))
			assert.NoError(t, s.Ready())
			second := fillUp(t, s)
			assert.InDelta(t, first, second, float64(first)/2, "all the room is back")
		})
	}
}

// What a program beside us writes takes the room for draining too: nothing is lost, and when there is
// room again everything goes on.
func TestDiskFilledByOthers(t *testing.T) {
	d := disktest.New(disktest.Options{Capacity: 4 << 20})
	s, _ := open(t, Options{Dir: "data", FS: d})
	appendAll(t, s, someEvents(1000))
	d.SetCapacity(100 << 10)
	s.quota.AskAgain() // as if some time had passed
	_, err := s.Append(context.Background(), someEvents(100))
	require.Error(t, err)
	for range 20 {
		if _, err := tryCut(t, s); err != nil {
			assert.ErrorIs(t, err, syscall.ENOSPC)
		}
		for _, info := range s.Batches() {
			_ = s.Resolve(info.ID, delivered(info))
		}
	}
	d.SetCapacity(4 << 20)
	s.quota.AskAgain()
	drain(t, s)
	assert.Equal(t, Counts{Accepted: 1000, Delivered: 1000}, checkLaw(t, s, 0))
	appendAll(t, s, someEvents(1))
}

// The reserve is the spool's own: another program that fills the disk to the last byte does not stop what was
// accepted from being cut, with its ids, and delivered.
func TestDiskFilledByOthersToTheLastByte(t *testing.T) {
	d := disktest.New(disktest.Options{Capacity: 64 << 20})
	s, _ := open(t, Options{Dir: "data", FS: d, DedupeWindow: time.Hour})
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	appendAll(t, s, identified(ids...))
	d.SetCapacity(1)
	cutAll(t, s)
	deliver(t, s)
	assert.Equal(t, Counts{Accepted: 1000, Delivered: 1000}, checkLaw(t, s, 0))
	d.SetCapacity(64 << 20)
	s.quota.AskAgain() // as if some time had passed
	assert.Equal(t, 1000, appendAll(t, s, identified(ids...)), "the ids were kept")
}

// A spare file that took a segment's name and could not be opened is given back: its bytes are in the quota once.
func TestSpareThatCannotBeOpened(t *testing.T) {
	var bytes [2]int64
	for i, trouble := range []error{nil, syscall.EMFILE} {
		f := &failing{FS: disktest.New(disktest.Options{})}
		s, _ := open(t, Options{Dir: "data", FS: f, SegmentBytes: minSegment})
		appendAll(t, s, someEvents(10))
		f.fail("open", "batches/0", trouble)
		cutAll(t, s) // into a file made anew, when there is trouble
		assert.Equal(t, trouble != nil, f.hits > 0)
		f.fail("", "", nil)
		bytes[i] = s.Usage().Bytes
		require.NoError(t, s.Close())
	}
	assert.Equal(t, bytes[0], bytes[1])
}
