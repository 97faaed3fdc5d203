package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reporterd/reporterd/disk/disktest"
	"github.com/reporterd/reporterd/threescale"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// buried returns the ids of n dead letters of one batch, each of three events, with every field in use.
func buried(t *testing.T, s *Spool, n int) (ids []string) {
	t.Helper()
	events := someEvents(3 * n)
	appendAll(t, s, events)
	cut, err := s.BeginCut(s.Committed() + Position(3*n))
	require.NoError(t, err)
	b := &Batch{FlatUsage: true, Lane: LaneKey{ServiceID: "1001", Credentials: threescale.Credentials{ServiceToken: "token"}}}
	for i := range n {
		tr := events[i].Transaction
		tr.Application, tr.Code = threescale.Application{UserKey: fmt.Sprintf("key%d", i)}, 404
		b.Transactions = append(b.Transactions, Transaction{Transaction: tr, Events: 3})
	}
	require.NoError(t, cut.Add(b))
	require.NoError(t, cut.Commit(0))
	var dead []DeadLetter
	for i := range n {
		dead = append(dead, DeadLetter{Index: i, Reason: Reason{Code: "user_key_invalid", Message: fmt.Sprintf(`user key "key%d" is invalid`, i)}})
		ids = append(ids, letterID(b.ID, i))
	}
	require.NoError(t, s.Resolve(b.ID, Resolution{Dead: dead}))
	return ids
}

// listed returns the ids of all dead letters.
func listed(t *testing.T, s *Spool) (ids []string) {
	t.Helper()
	page, _, err := s.DeadLetters(DeadLetterQuery{})
	require.NoError(t, err)
	for _, d := range page {
		ids = append(ids, d.ID)
	}
	return ids
}

func TestRequeue(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	ids := buried(t, s, 3)
	assert.Equal(t, Counts{Accepted: 9, Dead: 9}, s.Counts())

	done, err := s.Requeue([]string{ids[1], "000000000099-0000-0000", "../lock"}, time.Time{})
	assert.ErrorIs(t, err, ErrUnknownLetter)
	assert.ErrorContains(t, err, "000000000099-0000-0000")
	require.Len(t, done, 1)
	assert.Equal(t, "000000000001-r", done[0].Batch.String())
	assert.Equal(t, Counts{Accepted: 9, Dead: 6, Pending: 3}, checkLaw(t, s, 0))
	assert.Equal(t, []string{ids[0], ids[2]}, listed(t, s))
	assert.NoFileExists(t, filepath.Join(o.Dir, "deadletters", ids[1]+".json"))
	_, err = s.Requeue([]string{ids[1]}, time.Time{})
	assert.ErrorIs(t, err, ErrUnknownLetter, "a second time")

	s, _ = reopen(t, s, o)
	assert.Equal(t, Counts{Accepted: 9, Dead: 6, Pending: 3}, checkLaw(t, s, 0))
	b, err := s.Load(done[0].Batch)
	require.NoError(t, err)
	assert.Equal(t, LaneKey{ServiceID: "1001", Credentials: threescale.Credentials{ServiceToken: "token"}}, b.Lane)
	want := Transaction{Events: 3, Transaction: someEvents(2)[1].Transaction}
	want.Application, want.Code = threescale.Application{UserKey: "key1"}, 404
	assert.Equal(t, []Transaction{want}, b.Transactions, "three events in one transaction, as they were")
	assert.True(t, b.FlatUsage)

	require.NoError(t, s.Resolve(b.ID, Resolution{Dead: []DeadLetter{{Reason: Reason{Code: "expired"}}}}))
	assert.Equal(t, []string{"000000000001-r-0000", ids[0], ids[2]}, listed(t, s), "dead again, under an id of its own")
	restamped := time.Unix(1_800_000_000, 0)
	done, err = s.Requeue([]string{"000000000001-r-0000", ids[0]}, restamped)
	require.NoError(t, err)
	assert.Equal(t, "000000000003-r", done[1].Batch.String())
	b, err = s.Load(done[1].Batch)
	require.NoError(t, err)
	assert.Equal(t, restamped.Unix(), b.Transactions[0].Timestamp)
	deliver(t, s)
	assert.Equal(t, Counts{Accepted: 9, Dead: 3, Delivered: 6}, checkLaw(t, s, 0))
}

// The numbers of requeued batches are not used again, even when every segment that named one is gone.
func TestRequeuedBatchesNeverShareAnID(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: leastSegment}
	s, _ := open(t, o)
	ids := buried(t, s, 2)
	_, err := s.Requeue(ids[:1], time.Time{})
	require.NoError(t, err)
	deliver(t, s)
	first := s.batches.log.segments[0].name()
	for range 200 {
		appendAll(t, s, someEvents(10))
		cutAll(t, s)
		deliver(t, s)
	}
	assert.NoFileExists(t, filepath.Join(o.Dir, "batches", first))
	s, _ = reopen(t, s, o)
	done, err := s.Requeue(ids[1:], time.Time{})
	require.NoError(t, err)
	assert.Equal(t, "000000000002-r", done[0].Batch.String())
}

func TestDrop(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	ids := buried(t, s, 3)
	require.NoError(t, os.WriteFile(filepath.Join(o.Dir, "deadletters", ids[2]+".json"), []byte("{"), 0o600))
	dropped, err := s.Drop([]string{ids[0], "000000000099-0000-0000", ids[2]})
	assert.ErrorIs(t, err, ErrUnknownLetter)
	require.Len(t, dropped, 2)
	assert.Equal(t, "key0", dropped[0].UserKey)
	assert.Equal(t, DeadLetter{ID: ids[2]}, dropped[1], "one that cannot be read can be dropped")
	assert.Equal(t, []string{ids[1]}, listed(t, s))
	s, _ = reopen(t, s, o)
	assert.Equal(t, Counts{Accepted: 9, Dead: 9}, checkLaw(t, s, 0), "they were dead, and remain counted")
	assert.Equal(t, 1, s.Usage().DeadLetters)
}

func TestRedactedLetter(t *testing.T) {
	s, _ := open(t, Options{Dir: t.TempDir()})
	d, err := s.DeadLetter(buried(t, s, 1)[0])
	require.NoError(t, err)
	assert.Equal(t, "key0", d.UserKey)
	d = d.Redacted()
	assert.Equal(t, "[redacted]", d.UserKey)
	assert.Equal(t, `user key "[redacted]" is invalid`, d.Reason.Message)
	_, err = s.DeadLetter("../lock")
	assert.ErrorIs(t, err, ErrUnknownLetter)
}

// settled checks what a directory may hold after a requeue that was interrupted: each letter is dead or live,
// and requeueing what is dead and delivering what is live delivers every event once.
func settled(t *testing.T, s *Spool, ids []string, what string) {
	t.Helper()
	c := checkLaw(t, s, 0)
	letters := listed(t, s)
	require.Equal(t, uint64(3*len(letters)), c.Dead, what)
	require.Len(t, s.Batches(), len(ids)-len(letters), what)
	if len(letters) > 0 {
		_, err := s.Requeue(letters, time.Time{})
		require.NoError(t, err, what)
	}
	seen := map[string]bool{}
	for _, info := range s.Batches() {
		b, err := s.Load(info.ID)
		require.NoError(t, err, what)
		seen[b.Transactions[0].Application.UserKey] = true
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

// The record of a split is damaged: its parent is live again, so the letter of a child that had died means
// events that will be judged again, and must not be requeued beside them.
func TestLetterOfAChildWhoseSplitIsUndone(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, id := oneBatch(t, o, 4)
	at := s.batches.log.off
	require.NoError(t, s.Resolve(id, Resolution{Children: [][]int{{0, 1}, {2, 3}}}))
	child := s.Batches()[0].ID
	require.NoError(t, s.Resolve(child, Resolution{Delivered: []int{1}, Dead: []DeadLetter{{Index: 0}}}))
	require.Len(t, listed(t, s), 1)
	name := s.batches.log.last().name()
	require.NoError(t, s.Close())
	change(t, filepath.Join(o.Dir, "batches", name), func(data []byte) []byte {
		data[at+frameHead+totalsBytes+recordHead+3] ^= 4 // in the record of the split
		return data
	})
	s, found := open(t, o)
	require.NotEmpty(t, found.Damaged)
	require.Len(t, s.Batches(), 1)
	assert.Equal(t, id, s.Batches()[0].ID)
	assert.Empty(t, listed(t, s))
	assert.EqualValues(t, 4, checkLaw(t, s, 0).Pending)
	require.NoError(t, s.Resolve(id, Resolution{Children: [][]int{{3}, {0, 1, 2}}}))
	require.NoError(t, s.Resolve(child, Resolution{Dead: []DeadLetter{{Index: 0}}}))
	letter, err := s.DeadLetter(letterID(child, 0))
	require.NoError(t, err)
	assert.Equal(t, "app3", letter.AppID)
}
