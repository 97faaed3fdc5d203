package spool

import (
	"fmt"
	"testing"
	"time"

	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// settled checks what a directory may hold after a requeue that was interrupted: each letter is dead or live,
// and requeueing what is dead and delivering what is live delivers every event once.
func settled(t *testing.T, s *Spool, ids []string, what string) {
	t.Helper()
	c := checkLaw(t, s, 0)
	letters := listed(t, s)
	require.Equal(t, uint64(3*len(letters)), c.Dead, what)
	live := 0
	for _, info := range s.Batches() {
		live += info.Transactions
	}
	require.Equal(t, len(ids)-len(letters), live, what)
	if len(letters) > 0 {
		_, err := s.Requeue(letters, time.Time{})
		require.NoError(t, err, what)
	}
	seen := map[string]bool{}
	for _, info := range s.Batches() {
		b, err := s.Load(info.ID)
		require.NoError(t, err, what)
		for i := range b.Transactions {
			seen[b.Transactions[i].Application.UserKey] = true
		}
	}
	require.Len(t, seen, len(ids), what)
	deliver(t, s)
	require.Equal(t, Counts{Accepted: c.Accepted, Delivered: c.Accepted}, checkLaw(t, s, 0), what)
	require.Empty(t, listed(t, s), what)
}

// TestRequeueSurvivesEveryCrash cuts the power, and kills the process, at every change that a requeue makes to
// the disk, with several outcomes of what the crash leaves.
func TestRequeueSurvivesEveryCrash(t *testing.T) {
	const letters = 3
	lived := 0
	for point := 1; ; point++ {
		finished := false
		for seed := range uint64(8) {
			d := disktest.New(disktest.Options{Seed: seed})
			o := Options{Dir: "data", FS: d, SegmentBytes: leastSegment}
			s, _ := open(t, o)
			ids := buried(t, s, letters)
			d.StopAfter(point)
			_, err := s.Requeue(ids, time.Time{})
			finished = finished || err == nil && !d.Stopped()
			what := fmt.Sprintf("point %d, seed %d", point, seed)
			next := d.Crash()
			if seed%2 == 1 {
				next = d.Kill()
			}
			o.FS = next
			s, _ = open(t, o)
			if err == nil {
				require.Empty(t, listed(t, s), what+": it was acknowledged")
			}
			if len(s.Batches()) > 0 {
				lived++
			}
			settled(t, s, ids, what)
			o.FS = next.Crash()
			s, _ = open(t, o)
			require.Empty(t, listed(t, s), what)
			require.EqualValues(t, 3*letters, s.Counts().Delivered, what)
		}
		if finished {
			t.Logf("%d points, in %d cases the requeue had landed", point, lived)
			assert.Greater(t, point, 3)
			return
		}
	}
}

// A disk that fails in the middle of a requeue, with or without effect: the daemon goes on, requeues again what
// still is dead, and is killed. No letter is requeued twice, and none is forgotten.
func TestRequeueOnAFailingDisk(t *testing.T) {
	for _, op := range []disktest.Op{disktest.Write, disktest.Sync, disktest.Create, disktest.Remove, disktest.SyncDir} {
		for _, landed := range []disktest.Extent{disktest.Nothing, disktest.Some, disktest.All} {
			for skip := range 4 {
				for _, times := range []int{1, 3} {
					what := fmt.Sprintf("%s, landed %d, after %d, %d times", op, landed, skip, times)
					d := disktest.New(disktest.Options{Seed: uint64(skip)})
					o := Options{Dir: "data", FS: d, SegmentBytes: leastSegment}
					s, _ := open(t, o)
					ids := buried(t, s, 3)
					d.Inject(disktest.Fault{On: op, Landed: landed, Skip: skip, Times: times})
					done, err := s.Requeue(ids[:2], time.Time{})
					require.Equal(t, err == nil, len(done) == 2, what)
					again, _ := s.Requeue(ids[:2], time.Time{})
					require.LessOrEqual(t, len(done)+len(again), 2, what)
					d.Heal()
					c := checkLaw(t, s, 0)
					require.EqualValues(t, 3*(len(done)+len(again)), c.Pending, what)
					d = d.Kill()
					o.FS = d
					s, _ = open(t, o)
					settled(t, s, ids, what)
				}
			}
		}
	}
}

// A file that cannot be removed, or not durably, stays hidden, and keeps the segment that says so, however much
// comes after.
func TestLetterThatCannotBeRemovedIsNotRequeuedTwice(t *testing.T) {
	for _, op := range []disktest.Op{disktest.Remove, disktest.SyncDir} {
		for seed := range uint64(8) {
			d := disktest.New(disktest.Options{Seed: seed})
			o := Options{Dir: "data", FS: d, SegmentBytes: leastSegment}
			s, _ := open(t, o)
			ids := buried(t, s, 1)
			d.Inject(disktest.Fault{On: op, Name: "deadletters", Times: -1})
			_, err := s.Requeue(ids, time.Time{})
			require.NoError(t, err)
			require.Empty(t, listed(t, s))
			deliver(t, s)
			for range 50 {
				appendAll(t, s, someEvents(10))
				cutAll(t, s)
				deliver(t, s)
			}
			o.FS = d.Crash()
			s, _ = open(t, o)
			require.Empty(t, listed(t, s), "%s, seed %d", op, seed)
			require.Zero(t, s.Counts().Dead)
			_, err = s.Requeue(ids, time.Time{})
			require.ErrorIs(t, err, ErrUnknownLetter)
			checkLaw(t, s, 0)
		}
	}
}
