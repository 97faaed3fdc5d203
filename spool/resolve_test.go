package spool

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/reporterd/reporterd/threescale"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// oneBatch returns a spool with a single live batch of n transactions.
func oneBatch(t *testing.T, o Options, n int) (*Spool, BatchID) {
	t.Helper()
	s, _ := open(t, o)
	appendAll(t, s, someEvents(n))
	return s, cutAll(t, s)[0]
}

func TestEveryTransactionEndsOnce(t *testing.T) {
	s, id := oneBatch(t, Options{Dir: t.TempDir()}, 4)
	for name, r := range map[string]Resolution{
		"none":         {},
		"one missing":  {Delivered: []int{0, 1, 2}},
		"twice":        {Delivered: []int{0, 1, 2, 2}},
		"in two":       {Delivered: []int{0, 1, 2, 3}, Dead: []DeadLetter{{Index: 3}}},
		"unknown":      {Delivered: []int{0, 1, 2, 4}},
		"negative":     {Delivered: []int{0, 1, 2, -1}},
		"empty child":  {Delivered: []int{0, 1, 2, 3}, Children: [][]int{{}}},
		"two children": {Children: [][]int{{0, 1, 2}, {2, 3}}},
	} {
		assert.Error(t, s.Resolve(id, r), name)
	}
	assert.Equal(t, Counts{Accepted: 4, Pending: 4}, s.Counts())
	require.NoError(t, s.Resolve(id, Resolution{Delivered: []int{3, 1, 0, 2}}))
	assert.ErrorIs(t, s.Resolve(id, Resolution{Delivered: []int{3, 1, 0, 2}}), ErrUnknownBatch)
	assert.ErrorIs(t, s.Attempt(id, time.Now()), ErrUnknownBatch)
	assert.ErrorIs(t, s.Ambiguous(id), ErrUnknownBatch)
	assert.ErrorIs(t, s.Answered(id), ErrUnknownBatch)
	assert.ErrorIs(t, s.Lose(id), ErrUnknownBatch)
	_, err := s.Load(id)
	assert.ErrorIs(t, err, ErrUnknownBatch)
}

func TestSplit(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, id := oneBatch(t, o, 5)
	appendAll(t, s, someEvents(2))
	cutAll(t, s)
	whole, err := s.Load(id)
	require.NoError(t, err)
	require.NoError(t, s.Resolve(id, Resolution{Delivered: []int{0}, Children: [][]int{{4, 1}, {2, 3}}}))
	s, _ = reopen(t, s, o)
	infos := s.Batches()
	require.Len(t, infos, 3)
	assert.Equal(t, "000000000005-0000.1", infos[0].ID.String(), "children take the place of their parent")
	assert.Equal(t, "000000000005-0000.2", infos[1].ID.String())
	first, err := s.Load(infos[0].ID)
	require.NoError(t, err)
	assert.Equal(t, []Transaction{whole.Transactions[4], whole.Transactions[1]}, first.Transactions)
	assert.Equal(t, whole.OldestAccepted.UnixNano(), first.OldestAccepted.UnixNano())
	require.NoError(t, s.Resolve(infos[0].ID, Resolution{Children: [][]int{{1}, {0}}}))
	assert.Equal(t, "000000000005-0000.1.2", s.Batches()[1].ID.String())
	deliver(t, s)
	assert.Equal(t, Counts{Accepted: 7, Delivered: 7}, checkLaw(t, s, 0))
}

func TestDeadLetterIsAFile(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	events := someEvents(3)
	events[1].Application = threescale.Application{UserKey: "uk"}
	events[1].Code = 404
	for i := range events {
		events[i].Credentials.ServiceToken = "secret-token"
	}
	appendAll(t, s, events)
	id := cutAll(t, s)[0]
	require.NoError(t, s.Attempt(id, time.Now()))
	reason := Reason{Code: "application_not_found", Message: `application with id="app2" was not found`}
	require.NoError(t, s.Resolve(id, Resolution{Delivered: []int{0}, Dead: []DeadLetter{
		{Index: 2, Reason: reason, Answer: Answer{Status: 404}}, {Index: 1, Reason: Reason{Code: "expired"}},
	}}))
	assert.Equal(t, Counts{Accepted: 3, Delivered: 1, Dead: 2}, s.Counts())

	name := filepath.Join(o.Dir, "deadletters", "000000000003-0000-0002.json")
	info, err := os.Stat(name)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	var letter map[string]any
	require.NoError(t, json.Unmarshal(data, &letter))
	delete(letter, "created_at")
	assert.Equal(t, map[string]any{
		"id": "000000000003-0000-0002", "service_id": "1001", "app_id": "app2", "usage": map[string]any{"hits": 1.0, "transfer": 512.0},
		"events": 1.0, "timestamp": "2025-11-24T16:00:02Z", "reason": map[string]any{"code": reason.Code, "message": reason.Message},
		"answer": map[string]any{"status": 404.0}, "attempts": 1.0, "service_token": "secret-token",
	}, letter)

	page, next, err := s.DeadLetters(DeadLetterQuery{Limit: 1})
	require.NoError(t, err)
	require.Len(t, page, 1)
	assert.Equal(t, "uk", page[0].UserKey)
	assert.Equal(t, 404, page[0].ResponseCode)
	page, next, err = s.DeadLetters(DeadLetterQuery{Limit: 1, Cursor: next})
	require.NoError(t, err)
	assert.Empty(t, next)
	assert.Equal(t, reason, page[0].Reason)
	page, _, err = s.DeadLetters(DeadLetterQuery{Reason: "expired", ServiceID: "1001"})
	require.NoError(t, err)
	assert.Len(t, page, 1)
	page, _, err = s.DeadLetters(DeadLetterQuery{Since: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	assert.Empty(t, page)
	s, _ = reopen(t, s, o)
	assert.Equal(t, 2, s.Usage().DeadLetters)
}

// The record fails after the letters were written; the next verdict is another one.
func TestLettersOfAnEarlierVerdictAreWithdrawn(t *testing.T) {
	d := disktest.New(disktest.Options{})
	s, id := oneBatch(t, Options{Dir: "data", FS: d}, 3)
	d.Inject(disktest.Fault{On: disktest.Sync, Name: "batches", Times: 2})
	require.Error(t, s.Resolve(id, Resolution{Delivered: []int{0}, Dead: []DeadLetter{{Index: 1}, {Index: 2}}}))
	assert.Equal(t, Counts{Accepted: 3, Pending: 3}, s.Counts())
	require.NoError(t, s.Resolve(id, Resolution{Delivered: []int{0, 2}, Dead: []DeadLetter{{Index: 1}}}))
	page, _, err := s.DeadLetters(DeadLetterQuery{})
	require.NoError(t, err)
	require.Len(t, page, 1)
	assert.Equal(t, "000000000003-0000-0001", page[0].ID)
	assert.Equal(t, Counts{Accepted: 3, Delivered: 2, Dead: 1}, s.Counts())
}

func TestAttemptsAreRemembered(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, id := oneBatch(t, o, 3)
	require.NoError(t, s.Attempt(id, time.Now()))
	require.NoError(t, s.Ambiguous(id))
	require.NoError(t, s.Attempt(id, time.Now()))
	require.NoError(t, s.Answered(id))
	assert.EqualValues(t, 3, s.Counts().Ambiguous)
	s, found := reopen(t, s, o)
	assert.Zero(t, found.Unanswered, "the last attempt had an answer")
	info := s.Batches()[0]
	assert.Equal(t, []int{2, 1}, []int{info.Attempts, info.Ambiguous})
	require.NoError(t, s.Attempt(id, time.Now()))
	for range 2 {
		s, found = reopen(t, s, o)
		info = s.Batches()[0]
		assert.Equal(t, []int{3, 2}, []int{info.Attempts, info.Ambiguous}, "an attempt without an answer is ambiguous, once")
		assert.EqualValues(t, 6, s.Counts().Ambiguous)
	}
	assert.Zero(t, found.Unanswered)
}

func TestHeldLaneDoesNotPinTheDisk(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: 4 * minSegment, Sync: Never}
	s, _ := open(t, o)
	held := someEvents(20)
	for i := range held {
		held[i].ServiceID = "held"
	}
	appendAll(t, s, held)
	first := cutAll(t, s)[0]
	require.NoError(t, s.Attempt(first, time.Now()))
	require.NoError(t, s.Ambiguous(first))
	for range 60 {
		appendAll(t, s, someEvents(500))
		for _, id := range cutAll(t, s) {
			require.NoError(t, s.Resolve(id, delivered(BatchInfo{Transactions: 500})))
		}
	}
	count, _ := s.batches.log.Files()
	assert.Less(t, count, 6)
	for range 2 {
		infos := s.Batches()
		require.Len(t, infos, 1)
		assert.Equal(t, []any{first, 1, 1}, []any{infos[0].ID, infos[0].Attempts, infos[0].Ambiguous})
		b, err := s.Load(first)
		require.NoError(t, err)
		assert.Equal(t, batchesOf(held)[0].Transactions, b.Transactions)
		checkLaw(t, s, 0)
		s, _ = reopen(t, s, o)
	}
}
