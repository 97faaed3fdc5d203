package spool_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/reporterd/reporterd/threescale"
)

// killedBeforeSync returns the disk after a kill between the write of a frame and its sync, and after a start that failed because
// that sync failed: the frame is in the page cache, is not on the disk, and the kernel calls its pages clean.
func killedBeforeSync(t *testing.T, d *disktest.Disk, log string, write func() error) *disktest.Disk {
	t.Helper()
	d.StopAfter(1) // the write, not the sync
	require.Error(t, write())
	d = d.Kill()
	d.Inject(disktest.Fault{On: disktest.Sync, Name: log})
	_, _, err := spool.Open(spool.Options{Dir: "a/data", FS: d})
	require.Error(t, err)
	return d
}

// A start counts an event that no sync made durable only once it has made it durable itself, even if an earlier start tried in
// vain: that event is not lost when the power fails.
func TestStartAfterFailedSyncOfJournal(t *testing.T) {
	found := 0
	for seed := range uint64(20) {
		d := disktest.New(disktest.Options{Seed: seed})
		s := openAt(t, d)
		accept(t, s)
		d = killedBeforeSync(t, d, "journal", func() error {
			_, err := s.Append(t.Context(), []event.Event{{ServiceID: "1001", Transaction: threescale.Transaction{
				Application: threescale.Application{ID: "app"}, Timestamp: 1_700_000_000,
			}}})
			return err
		})
		before := openAt(t, d).Counts()
		after := openAt(t, d.Crash()).Counts()
		assert.Equal(t, before, after, "seed %d", seed)
		found += int(before.Accepted) - 1
	}
	require.NotZero(t, found, "the kernel keeps some of the pages that it could not write")
}

// A start removes the journal that a cut released only once it has made the cut durable itself: otherwise acknowledged events
// are neither in a batch nor in the journal when the power fails.
func TestStartAfterFailedSyncOfBatchLog(t *testing.T) {
	found := 0
	for seed := range uint64(20) {
		d := disktest.New(disktest.Options{Seed: seed})
		s := openAt(t, d)
		accept(t, s)
		seal(t, s)
		accept(t, s)
		d = killedBeforeSync(t, d, "batches", func() error {
			_, err := trySeal(s)
			return err
		})
		s = openAt(t, d)
		found += len(s.Batches()) - 1
		accept(t, s) // into a second segment of the journal
		require.NoError(t, s.Close())
		before := openAt(t, d).Counts() // removes the first one
		after := openAt(t, d.Crash()).Counts()
		assert.Equal(t, before, after, "seed %d", seed)
	}
	require.NotZero(t, found, "the kernel keeps some of the pages that it could not write")
}

// A start that the power ends between its changes leaves nothing that makes a torn frame look like one that was acknowledged.
func TestPowerFailsDuringStartAfterKill(t *testing.T) {
	options := spool.Options{Dir: "a/data", SegmentBytes: 64 << 10}
	for seed := range uint64(1000) {
		d := disktest.New(disktest.Options{Seed: seed})
		options.FS = d
		s, _, err := spool.Open(options)
		require.NoError(t, err)
		accept(t, s)
		d.StopAfter(1) // the write, not the sync
		_, err = s.Append(t.Context(), manyEvents(20))
		require.Error(t, err)
		d = d.Kill()
		d.StopAfter(int(seed % 20)) // within a start's changes
		options.FS = d
		_, _, err = spool.Open(options)
		require.Error(t, err)
		assert.Zero(t, openAt(t, d.Crash()).Counts().Lost, "seed %d", seed)
	}
}

// manyEvents returns so many events that their frame needs several sectors.
func manyEvents(n int) []event.Event {
	events := make([]event.Event, n)
	for i := range events {
		events[i] = event.Event{ServiceID: "1001", Transaction: threescale.Transaction{
			Application: threescale.Application{ID: strings.Repeat("a", 100)}, Timestamp: 1_700_000_000,
		}}
	}
	return events
}
