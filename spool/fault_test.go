package spool

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// faultCase is a write of the spool: what makes it fail, and what it is to have done.
type faultCase struct {
	name string
	on   disktest.Op
	file string
	do   func(*testing.T, *Spool) error
	// the counts when it failed for good, and when it was done
	failed, done Counts
}

var faultCases = []faultCase{
	{
		name: "append", on: disktest.Write, file: "journal", do: appendTwo,
		failed: Counts{Accepted: 3, Pending: 3}, done: Counts{Accepted: 5, Pending: 5},
	},
	{
		name: "sync an append", on: disktest.Sync, file: "journal", do: appendTwo,
		failed: Counts{Accepted: 3, Pending: 3}, done: Counts{Accepted: 5, Pending: 5},
	},
	{
		name: "cut", on: disktest.Write, file: "batches", do: func(t *testing.T, s *Spool) error { _, err := tryCut(t, s); return err },
		failed: Counts{Accepted: 3, Pending: 3}, done: Counts{Accepted: 3, Pending: 3},
	},
	{
		name: "sync a cut", on: disktest.Sync, file: "batches", do: func(t *testing.T, s *Spool) error { _, err := tryCut(t, s); return err },
		failed: Counts{Accepted: 3, Pending: 3}, done: Counts{Accepted: 3, Pending: 3},
	},
	{
		name: "carry ids", on: disktest.Sync, file: "ids", do: func(t *testing.T, s *Spool) error { _, err := tryCut(t, s); return err },
		failed: Counts{Accepted: 3, Pending: 3}, done: Counts{Accepted: 3, Pending: 3},
	},
	{
		name: "attempt", on: disktest.Sync, file: "batches", do: func(_ *testing.T, s *Spool) error { return s.Attempt(s.Batches()[0].ID, time.Now()) },
		failed: Counts{Accepted: 3, Pending: 3}, done: Counts{Accepted: 3, Pending: 3},
	},
	{
		name: "deliver", on: disktest.Sync, file: "batches", do: func(_ *testing.T, s *Spool) error {
			return s.Resolve(s.Batches()[0].ID, Resolution{Delivered: []int{0, 1, 2}})
		},
		failed: Counts{Accepted: 3, Pending: 3}, done: Counts{Accepted: 3, Delivered: 3},
	},
	{
		name: "dead letter", on: disktest.Sync | disktest.Rename | disktest.SyncDir, file: "deadletters", do: bury,
		failed: Counts{Accepted: 3, Pending: 3}, done: Counts{Accepted: 3, Delivered: 2, Dead: 1},
	},
	{
		name: "record of a dead letter", on: disktest.Write | disktest.Sync, file: "batches", do: bury,
		failed: Counts{Accepted: 3, Pending: 3}, done: Counts{Accepted: 3, Delivered: 2, Dead: 1},
	},
}

func appendTwo(_ *testing.T, s *Spool) error {
	_, err := s.Append(context.Background(), identified("x", "y"))
	return err
}

func bury(_ *testing.T, s *Spool) error {
	return s.Resolve(s.Batches()[0].ID, Resolution{Delivered: []int{0, 1}, Dead: []DeadLetter{{Index: 2}}})
}

// needsBatch tells the cases that work on a live batch.
func (c faultCase) needsBatch() bool {
	return c.name != "append" && c.name != "sync an append" && c.name != "cut" && c.name != "sync a cut" && c.name != "carry ids"
}

// TestFaults crosses every write with: failed, nothing of it on disk; failed, but some or all of it had
// landed; once, so that a second try inside heals it, or for good; and then going on, a kill, or a loss
// of power. In every case the equation holds, nothing is lost, and repeating the call takes effect once.
func TestFaults(t *testing.T) {
	for _, c := range faultCases {
		for _, landed := range []disktest.Extent{disktest.Nothing, disktest.Some, disktest.All} {
			for _, then := range []string{"goes on", "is killed", "loses power"} {
				t.Run(fmt.Sprintf("%s/landed %d/%s", c.name, landed, then), func(t *testing.T) {
					for seed := range uint64(5) {
						c.run(t, disktest.Fault{On: c.on, Name: c.file, Landed: landed, Times: -1, Err: syscall.EIO}, then, seed)
					}
				})
			}
		}
	}
}

func (c faultCase) run(t *testing.T, f disktest.Fault, then string, seed uint64) {
	d := disktest.New(disktest.Options{Seed: seed})
	s, _, err := Open(Options{Dir: "data", FS: d, DedupeWindow: time.Hour})
	require.NoError(t, err)
	appendAll(t, s, identified("a", "b", "c"))
	if c.needsBatch() {
		cutAll(t, s)
	}
	d.Inject(f)
	require.Error(t, c.do(t, s))
	assert.Equal(t, c.failed, checkLaw(t, s, 0), "told no")
	switch then {
	case "goes on":
		d.Heal()
	case "is killed":
		d = d.Kill()
	case "loses power":
		d = d.Crash()
	}
	if then != "goes on" {
		s, _, err = Open(Options{Dir: "data", FS: d, DedupeWindow: time.Hour})
		require.NoError(t, err)
		if found := checkLaw(t, s, 0); found != c.failed {
			found.Duplicates, found.Ambiguous = 0, 0
			assert.Contains(t, []Counts{c.failed, c.done}, found, "all or nothing of it")
		}
	}
	c.again(t, s)
	assert.NoError(t, s.Ready())
	require.NoError(t, s.Close())
}

// again does it once more, unless it turned out to have happened.
func (c faultCase) again(t *testing.T, s *Spool) {
	t.Helper()
	if !c.needsBatch() || len(s.Batches()) > 0 {
		require.NoError(t, c.do(t, s))
	}
	counts := checkLaw(t, s, 0)
	counts.Duplicates, counts.Ambiguous = 0, 0
	assert.Equal(t, c.done, counts)
	page, _, err := s.DeadLetters(DeadLetterQuery{})
	require.NoError(t, err)
	assert.Len(t, page, int(counts.Dead))
	duplicates, err := s.Append(context.Background(), identified("a", "b", "c"))
	require.NoError(t, err)
	assert.Equal(t, 3, duplicates, "ids are in the dedupe set in every case")
}

// A failed sync costs nothing when the disk is fine again: the group goes to another file.
func TestOneFailedSyncIsHealed(t *testing.T) {
	for _, log := range []string{"journal", "batches"} {
		d := disktest.New(disktest.Options{})
		s, _ := open(t, Options{Dir: "data", FS: d})
		appendAll(t, s, someEvents(2))
		cutAll(t, s)
		d.Inject(disktest.Fault{On: disktest.Sync, Name: log, Landed: disktest.Some})
		appendAll(t, s, someEvents(3))
		cutAll(t, s)
		s, _, err := Open(Options{Dir: "data", FS: d.Crash()})
		require.NoError(t, err)
		assert.Equal(t, Counts{Accepted: 5, Pending: 5}, checkLaw(t, s, 0))
		assert.Len(t, s.Batches(), 2)
	}
}

func TestReadyAfterTrouble(t *testing.T) {
	d := disktest.New(disktest.Options{})
	s, _ := open(t, Options{Dir: "data", FS: d})
	require.NoError(t, s.Ready())
	d.Inject(disktest.Fault{On: disktest.Sync, Times: -1})
	_, err := s.Append(context.Background(), someEvents(1))
	require.Error(t, err)
	assert.ErrorIs(t, s.Ready(), syscall.EIO)
	d.Heal()
	assert.NoError(t, s.Ready(), "found out without traffic")
	appendAll(t, s, someEvents(1))
}
