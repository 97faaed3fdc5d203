package spool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// troubleErrors are what reads, opens and listings fail with for a while, and what the spool says while a directory is
// moved away.
var troubleErrors = []error{syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.EACCES, syscall.EROFS, os.ErrNotExist, spool.ErrReplaced}

// TestModelTrouble is TestModel on a disk whose reads, opens, listings and sizes fail for a while, whose
// sectors cannot be read for a while, from which files and directories vanish and to which they come back, at
// starts and under load. No byte is damaged. So a start fails or is right, and every other law of TestModel
// holds as it stands: nothing is lost, nothing is given up, nothing is delivered twice.
func TestModelTrouble(t *testing.T) {
	runHistories(t, 60, func(ctx context.Context, h *history) {
		h.digs, h.shape.troubled = true, true
		h.run(ctx)
	})
}

// TestModelRestarts is TestModelTrouble with many lives that end during a start or soon after it, by a kill or a loss of power, and
// with starts whose syncs fail: what a process leaves in the page cache goes through several starts before the power takes it.
func TestModelRestarts(t *testing.T) {
	runHistories(t, 60, func(ctx context.Context, h *history) {
		h.digs, h.shape.troubled, h.shape.restless, h.shape.kills = true, true, true, true
		h.shape.lives = 8 + h.rng.IntN(12)
		h.run(ctx)
	})
}

// logNames are the directories of the logs.
var logNames = []string{"journal", "batches", "ids"}

// trouble draws one trouble, begins it, and returns what ends it.
func (h *history) trouble(rng *rand.Rand, starting bool) (lift func()) {
	f := disktest.Fault{Times: []int{1, 3, 20, 200, -1}[rng.IntN(5)], Skip: []int{0, 0, rng.IntN(10), rng.IntN(60)}[rng.IntN(4)]}
	f.Name = []string{"", "journal", "batches", "ids", "deadletters", "quarantine"}[rng.IntN(6)]
	f.Err = []error{syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.EACCES, syscall.EROFS}[rng.IntN(5)]
	f.Chance = []float64{0, 0, 0.5, 0.1}[rng.IntN(4)]
	switch rng.IntN(8) {
	case 0, 1:
		f.On, f.Err = disktest.Read, syscall.EIO
		f.Landed = []disktest.Extent{disktest.Nothing, disktest.Some}[rng.IntN(2)]
		if rng.IntN(2) == 0 {
			f.From = int64(rng.IntN(8 << 10))
			f.To = f.From + 1 + int64(rng.IntN(4<<10))
		}
	case 2:
		f.On = disktest.Open
	case 3:
		f.On = disktest.Open | disktest.Create | disktest.ReadDir | disktest.Lock | disktest.SyncDir
	case 4:
		f.On = disktest.ReadDir
	case 5:
		f.On = []disktest.Op{disktest.Stat, disktest.Mkdir | disktest.Lock, disktest.SyncDir, disktest.Remove, disktest.Rename}[rng.IntN(5)]
	default:
		if lift := h.misplace(rng, starting); lift != nil {
			return lift
		}
		f.On = disktest.Read | disktest.Open
	}
	return h.disk.Inject(f)
}

// directories are those of a spool.
var directories = []string{"data", "data/journal", "data/batches", "data/ids", "data/deadletters", "data/quarantine"}

// misplace draws one of the troubles that only the simulated disk knows: sectors that cannot be read, a bit that
// is wrong once, and, while the spool runs, files and directories that are not where they were. It returns nil
// when it found no place for one.
func (h *history) misplace(rng *rand.Rand, starting bool) (lift func()) {
	d, simulated := h.disk.(local)
	if !simulated {
		return nil
	}
	files := d.Files()
	if len(files) == 0 {
		return nil
	}
	name := files[rng.IntN(len(files))]
	switch n := rng.IntN(4); {
	case n == 0:
		if size := int64(len(d.Durable(name))); size > 0 && d.Latent(name, rng.Int64N(size), 1) {
			return func() { d.Mend(name) }
		}
	case n == 1 && !h.garbled.Swap(true): // another one might hit the second look
		return d.Inject(disktest.Fault{ // of a dead letter nothing tells: its file has no checksum
			On: disktest.Read, Lie: disktest.Garbled, Skip: rng.IntN(30), Name: []string{"journal", "batches", "ids"}[rng.IntN(3)],
		})
	case !starting:
		if strings.Contains(name, "deadletters") || rng.IntN(2) == 0 { // without a letter its list is right without it
			name = directories[rng.IntN(len(directories))]
		}
		if d.MoveAway(name) {
			return func() { d.MoveBack(name) }
		}
	}
	return nil
}

// pester is a step of a life: some trouble begins, or all of it ends.
func (h *history) pester(rng *rand.Rand) func() {
	return func() {
		if rng.IntN(3) == 0 {
			h.disk.Heal()
			if _, simulated := h.disk.(local); simulated { // until the spool has looked at its directories again
				<-time.After(2 * time.Second)
			}
			return
		}
		time.AfterFunc(h.spell(rng), h.trouble(rng, false))
	}
}

// spell is how long a trouble lasts at most: less than anything that waits for its end gives up after.
func (h *history) spell(rng *rand.Rand) time.Duration {
	if _, real := h.disk.(*shared); real {
		return time.Duration(1 + rng.IntN(20_000_000))
	}
	return []time.Duration{time.Millisecond, 20 * time.Millisecond, 2 * time.Second}[rng.IntN(3)]
}

// besiege begins some troubles before a start.
func (h *history) besiege() {
	if !h.shape.troubled || h.last {
		return
	}
	h.garbled.Store(false)
	switch {
	case h.shape.restless && h.rng.IntN(3) == 0:
		h.disk.Inject(disktest.Fault{On: disktest.Sync, Name: logNames[h.rng.IntN(len(logNames))], Landed: disktest.Extent(h.rng.IntN(3))})
	case h.shape.faulty && h.rng.IntN(2) == 0:
		h.hurt()
	}
	for range h.rng.IntN(4) {
		time.AfterFunc(h.spell(h.rng), h.trouble(h.rng, true))
	}
}

// startTries is how often a start is tried before the disk is healed.
const startTries = 3

// start opens the spool. In trouble it may fail with the reason, and is tried again until the disk is well.
func (h *history) start() (*spool.Spool, error) {
	h.besiege()
	for tries := 0; ; tries++ {
		s, _, err := spool.Open(spool.Options{
			Dir: "data", FS: h.disk, MaxBytes: h.shape.quota, SegmentBytes: h.shape.segment, DedupeWindow: 24 * time.Hour,
			KeepChanges: h.keeper != nil,
		})
		if err == nil || !h.shape.troubled || h.disk.Stopped() || tries > startTries {
			return s, err
		}
		if !isTrouble(err) && !(h.shape.faulty && errors.Is(err, syscall.ENOSPC)) {
			h.book.fault("Open fails for another reason than the disk's: %v", err)
			return nil, err
		}
		h.failed++
		if tries == startTries || h.rng.IntN(3) == 0 {
			h.disk.Heal()
		}
	}
}

// look reads the whole state, as often as it takes.
func (h *history) look(ctx context.Context) (st *state, err error) {
	for tries := 0; ; tries++ {
		if st, err = look(ctx, h.spool, h.book); err == nil || !h.shape.troubled || h.disk.Stopped() || tries > startTries {
			return st, err
		}
		if !isTrouble(err) {
			return nil, err
		}
		if tries == startTries {
			h.disk.Heal()
		}
	}
}

// isTrouble reports whether an error says what the disk answered, and does not call it damage.
func isTrouble(err error) bool {
	return !errors.Is(err, spool.ErrDamaged) && slices.ContainsFunc(troubleErrors, func(e error) bool { return errors.Is(err, e) })
}
