package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/spool/disk/disktest"
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

// TestRequeueIsFewReports: letters of a lane whose reason the sender asks about before it reports them are one batch; those that the
// backend refused themselves are one each. All of them come back after a restart, and their files go.
func TestRequeueIsFewReports(t *testing.T) {
	o := Options{Dir: t.TempDir(), KeepChanges: true}
	s, _ := open(t, o)
	appendAll(t, s, someEvents(9))
	id := cutAll(t, s)[0]
	batch, err := s.Load(id)
	require.NoError(t, err)
	var dead []DeadLetter
	for i := range batch.Transactions {
		code := "metric_invalid"
		if i < 2 {
			code = "not_valid_data"
		}
		dead = append(dead, DeadLetter{Index: i, Reason: Reason{Code: code}})
	}
	require.NoError(t, s.Resolve(id, Resolution{Dead: dead}))
	restamped := time.Unix(1_800_000_000, 0)
	done, err := s.Requeue(listed(t, s), restamped)
	require.NoError(t, err)
	require.Len(t, done, len(dead))
	batches := make(map[BatchID]int)
	for _, d := range done {
		batches[d.Batch]++
	}
	assert.Len(t, batches, 3)
	s, _ = reopen(t, s, o)
	assert.Empty(t, listed(t, s))
	assert.Equal(t, Counts{Accepted: 9, Pending: 9}, checkLaw(t, s, 0))
	for id, letters := range batches {
		b, err := s.Load(id)
		require.NoError(t, err)
		assert.Len(t, b.Transactions, letters)
	}
	moved := 0
	for feed := s.ChangesFrom(1); ; {
		page, err := feed.Next(t.Context())
		require.NoError(t, err)
		for _, e := range page.Events {
			moved += len(e.Was)
			for i := range e.Was {
				assert.NotEqual(t, restamped.Unix(), e.Was[i].Timestamp)
				assert.Equal(t, restamped.Unix(), e.Batch.Transactions[i].Timestamp)
			}
		}
		if page.Next >= s.ChangesEnd() || moved == len(dead) {
			break
		}
	}
	assert.Equal(t, len(dead), moved, "the ledger learns each former timestamp")
}

// The record of a requeue is damaged at rest: its events are lost, and counted as that.
func TestDamagedRequeueIsCounted(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	ids := buried(t, s, 2)
	at := s.batches.log.Extent().End
	_, err := s.Requeue(ids[:1], time.Time{})
	require.NoError(t, err)
	name := s.batches.log.Last().Name()
	require.NoError(t, s.Close())
	change(t, filepath.Join(o.Dir, "batches", name), func(data []byte) []byte {
		data[at+wal.FrameHead+totalsBytes+recordHead+3] ^= 4
		return data
	})
	s, found := open(t, o)
	assert.Len(t, found.Damaged, 1)
	assert.Equal(t, ids[1:], listed(t, s))
	assert.Equal(t, Counts{Accepted: 6, Dead: 3, Lost: 3}, checkLaw(t, s, 3))
}

// The numbers of requeued batches are not used again, even when every segment that named one is gone.
func TestRequeuedBatchesNeverShareAnID(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: leastSegment}
	s, _ := open(t, o)
	ids := buried(t, s, 2)
	_, err := s.Requeue(ids[:1], time.Time{})
	require.NoError(t, err)
	deliver(t, s)
	first := s.batches.log.All()[0].Name()
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

// The record of a split is damaged: its parent is live again, so the letter of a child that had died means
// events that will be judged again, and must not be requeued beside them.
func TestLetterOfAChildWhoseSplitIsUndone(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, id := oneBatch(t, o, 4)
	at := s.batches.log.Extent().End
	require.NoError(t, s.Resolve(id, Resolution{Children: [][]int{{0, 1}, {2, 3}}}))
	child := s.Batches()[0].ID
	require.NoError(t, s.Resolve(child, Resolution{Delivered: []int{1}, Dead: []DeadLetter{{Index: 0}}}))
	require.Len(t, listed(t, s), 1)
	name := s.batches.log.Last().Name()
	require.NoError(t, s.Close())
	change(t, filepath.Join(o.Dir, "batches", name), func(data []byte) []byte {
		data[at+wal.FrameHead+totalsBytes+recordHead+3] ^= 4 // in the record of the split
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

// A batch that could not be ended is live: the letters that were written for its end are neither shown nor
// requeued, or its events would be counted twice.
func TestLettersOfALiveBatchAreNotRequeued(t *testing.T) {
	d := disktest.New(disktest.Options{})
	s, id := oneBatch(t, Options{Dir: "data", FS: d}, 2)
	d.Inject(disktest.Fault{On: disktest.Write, Name: "batches", Times: 2})
	require.Error(t, s.Resolve(id, Resolution{Dead: []DeadLetter{{Index: 0}, {Index: 1}}}))
	letter := letterID(id, 0)
	assert.Empty(t, listed(t, s))
	_, err := s.DeadLetter(letter)
	require.ErrorIs(t, err, ErrUnknownLetter)
	_, err = s.Requeue([]string{letter}, time.Time{})
	require.ErrorIs(t, err, ErrUnknownLetter)
	_, err = s.Drop([]string{letter})
	require.ErrorIs(t, err, ErrUnknownLetter)
	require.NoError(t, s.Resolve(id, Resolution{Delivered: []int{0}, Dead: []DeadLetter{{Index: 1}}}))
	assert.Equal(t, []string{letterID(id, 1)}, listed(t, s))
	assert.Equal(t, Counts{Accepted: 2, Delivered: 1, Dead: 1}, checkLaw(t, s, 0))
}

// The bytes of the two records are a promise: a directory is read by the versions to come.
func TestRequeueFormat(t *testing.T) {
	x := newIndex(&counters{})
	b := &Batch{
		ID: BatchID{Position: 3, Index: requeuedIndex}, Lane: LaneKey{ServiceID: "1001"}, Sealed: time.Unix(0, 1), OldestAccepted: time.Unix(0, 1),
		Transactions: []Transaction{{Events: 7, Transaction: threescale.Transaction{
			Application: threescale.Application{ID: "a"}, Timestamp: 5, Usage: threescale.Usage{{Metric: "hits", Value: 9}},
		}}},
	}
	body := appendBody(appendString([]byte{byte(recordRequeued)}, "l"), recordRequeued, 0, x.describe(b), b.Transactions)
	assert.Equal(t, "0c"+"016c"+"00"+"03ffffffff0f00"+"0431303031"+"02020a0a"+"07"+"01"+"0007"+"0161"+"0a"+"01"+"0468697473"+"09", fmt.Sprintf("%x", body))
	assert.Equal(t, "0d"+"05", fmt.Sprintf("%x", (&record{kind: recordRequeues, number: 5}).append(nil)[recordHead:]))
	r, err := x.parseRecord(body, 0)
	require.NoError(t, err)
	assert.Equal(t, "l", r.letter)
	read, err := x.parseBatch(body)
	require.NoError(t, err)
	assert.Equal(t, b.Transactions, read.Transactions)
	assert.Equal(t, "000000000003-r", read.ID.String())
}

// However large the letters are that are requeued together, no frame is larger than what is read again.
func TestRequeueOfMuchIsReadAgain(t *testing.T) {
	o := Options{Dir: "data", FS: disktest.New(disktest.Options{})}
	s, _ := open(t, o)
	events := someEvents(9)
	for i := range events {
		events[i].Usage = threescale.Usage{{Metric: strings.Repeat("m", maxLetter*9/10), Value: 1}}
	}
	appendAll(t, s, events)
	id := cutAll(t, s)[0]
	var dead []DeadLetter
	for i := range events {
		dead = append(dead, DeadLetter{Index: i})
	}
	require.NoError(t, s.Resolve(id, Resolution{Dead: dead}))
	before := s.batches.log.NextSequence()
	done, err := s.Requeue(listed(t, s), time.Time{})
	require.NoError(t, err)
	assert.Len(t, done, len(events))
	assert.Empty(t, listed(t, s))
	largest := int64(0)
	for _, segment := range s.batches.log.All() {
		require.NoError(t, ListFrames(t.Context(), InspectOptions{Dir: o.Dir, FS: o.FS}, segment.Name(), func(f FrameInfo) error {
			if f.First >= before {
				largest = max(largest, f.Bytes)
			}
			return nil
		}))
	}
	assert.Less(t, largest, int64(maxGroup+2*maxLetter))
	s, _ = reopen(t, s, o)
	assert.Equal(t, Counts{Accepted: 9, Pending: 9}, checkLaw(t, s, 0))
}

// Where a transaction was too large for a report its events count with one part of it. The other parts are usage as well.
func TestPartWithoutEventsIsRequeued(t *testing.T) {
	s, _ := open(t, Options{Dir: t.TempDir()})
	events := someEvents(1)
	appendAll(t, s, events)
	cut, err := s.BeginCut(1)
	require.NoError(t, err)
	first, second := events[0].Transaction, events[0].Transaction
	first.Usage, second.Usage = first.Usage[:1], second.Usage[1:]
	b := &Batch{Lane: LaneKey{ServiceID: "1001"}, Transactions: []Transaction{{Transaction: first, Events: 1}, {Transaction: second}}}
	require.NoError(t, cut.Add(b))
	require.NoError(t, cut.Commit(0))
	require.NoError(t, s.Resolve(b.ID, Resolution{Dead: []DeadLetter{{Index: 0}, {Index: 1}}}))
	done, err := s.Requeue([]string{letterID(b.ID, 0), letterID(b.ID, 1)}, time.Time{})
	require.NoError(t, err)
	require.Len(t, done, 2)
	part, err := s.Load(done[1].Batch)
	require.NoError(t, err)
	assert.Equal(t, []Transaction{{Transaction: second}}, part.Transactions)
	assert.Equal(t, Counts{Accepted: 1, Pending: 1}, checkLaw(t, s, 0))
	deliver(t, s)
	assert.Equal(t, Counts{Accepted: 1, Delivered: 1}, checkLaw(t, s, 0))
}
