package spool_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/reporterd/reporterd/threescale"
)

// What TestModel found, as small as it gets.

// openAt opens the spool of a simulated disk.
func openAt(t *testing.T, d *disktest.Disk) *spool.Spool {
	t.Helper()
	s, _, err := spool.Open(spool.Options{Dir: "a/data", FS: d, DedupeWindow: time.Hour})
	require.NoError(t, err)
	return s
}

// accept appends one event.
func accept(t *testing.T, s *spool.Spool) {
	t.Helper()
	_, err := s.Append(t.Context(), []event.Event{{ServiceID: "1001", Transaction: threescale.Transaction{
		Application: threescale.Application{ID: "app"}, Usage: threescale.Usage{{Metric: "hits", Value: 1}}, Timestamp: 1_700_000_000,
	}}})
	require.NoError(t, err)
}

// seal cuts everything into one batch.
func seal(t *testing.T, s *spool.Spool) spool.BatchID {
	t.Helper()
	id, err := trySeal(s)
	require.NoError(t, err)
	return id
}

// trySeal is seal on a disk that may fail.
func trySeal(s *spool.Spool) (spool.BatchID, error) {
	counts := s.Counts()
	cut, err := s.BeginCut(spool.Position(counts.Accepted))
	if err != nil {
		return spool.BatchID{}, err
	}
	b := &spool.Batch{Lane: spool.LaneKey{ServiceID: "1001"}, Transactions: []spool.Transaction{{
		Transaction: threescale.Transaction{Application: threescale.Application{ID: "app"}, Timestamp: 1_700_000_000},
		Events:      uint32(counts.Accepted - uint64(s.Committed())),
	}}}
	if err := cut.Add(b); err != nil {
		return b.ID, errors.Join(err, cut.Abort())
	}
	return b.ID, cut.Commit(0)
}

// A file is as durable as the names of all directories above it.
func TestDirectoriesMadeByOpenAreDurable(t *testing.T) {
	for seed := range uint64(20) {
		d := disktest.New(disktest.Options{Seed: seed})
		accept(t, openAt(t, d))
		assert.EqualValues(t, 1, openAt(t, d.Crash()).Counts().Accepted, "seed %d", seed)
	}
}

// What a killed process wrote and did not sync is found by the next one, which hands it out; then the
// power fails.
func TestWhatRecoveryFoundIsDurable(t *testing.T) {
	for seed := range uint64(20) {
		d := disktest.New(disktest.Options{Seed: seed})
		s := openAt(t, d)
		accept(t, s)
		d.StopAfter(1) // the write, not the sync
		_, err := s.Append(t.Context(), []event.Event{{ServiceID: "1001", Transaction: threescale.Transaction{
			Application: threescale.Application{ID: "app"}, Timestamp: 1_700_000_000,
		}}})
		require.Error(t, err)
		d = d.Kill()
		found := openAt(t, d).Counts().Accepted
		require.EqualValues(t, 2, found)
		assert.Equal(t, found, openAt(t, d.Crash()).Counts().Accepted, "seed %d", seed)
	}
}

// A dead letter whose record did not get to the disk is withdrawn: its batch is live, and may be
// delivered after all.
func TestDeadLetterOfLiveBatchIsWithdrawn(t *testing.T) {
	d := disktest.New(disktest.Options{})
	s := openAt(t, d)
	accept(t, s)
	id := seal(t, s)
	d.Inject(disktest.Fault{On: disktest.Changing, Name: "batches", Times: -1})
	require.Error(t, s.Resolve(id, spool.Resolution{Dead: []spool.DeadLetter{{Reason: spool.Reason{Code: "metric_invalid"}}}}))

	d = d.Crash()
	s = openAt(t, d)
	require.Len(t, s.Batches(), 1)
	letters, _, err := s.DeadLetters(spool.DeadLetterQuery{})
	require.NoError(t, err)
	assert.Empty(t, letters)
	require.NoError(t, s.Resolve(id, spool.Resolution{Delivered: []int{0}}))
	letters, _, err = openAt(t, d.Crash()).DeadLetters(spool.DeadLetterQuery{})
	require.NoError(t, err)
	assert.Empty(t, letters)
}

// A disk that does not even make a file is an error, not a panic.
func TestSegmentThatCannotBeMade(t *testing.T) {
	d := disktest.New(disktest.Options{})
	s := openAt(t, d)
	d.Inject(disktest.Fault{On: disktest.Create, Name: "journal", Times: 2})
	_, err := s.Append(t.Context(), []event.Event{{ServiceID: "1001"}})
	var refused *event.Refused
	require.ErrorAs(t, err, &refused)
	accept(t, s)
}
