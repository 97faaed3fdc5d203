package spool_test

import (
	"context"
	"testing"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// TestModelLies has syncs report success for writes that were not done, or were done somewhere else (phantom and
// misdirected writes), and cuts the power. That is damage, which is to be found by checksums and numbers: the next
// start succeeds, hands out nothing that was not written, and its counts add up. What is missing was counted as lost,
// unless the journal ends before it.
//
// What cannot be known from the logs: without the last frames of a log the disk looks as if they were never written. How
// many events that took, how many ended ones are live again, and how many are live beside the letter that their batch
// left, is logged here as silent, revived and twice.
func TestModelLies(t *testing.T) {
	var all lies
	histories, first := histories(t, 60), fromEnv(t, "REPORTERD_MODEL_SEED", 1)
	for n := range histories {
		runSeed(t, uint64(first+n), func(ctx context.Context, h *history) {
			h.shape.faulty, h.shape.quota, h.shape.capacity, h.shape.kills = false, 0, 0, false
			h.digs, h.keeper = true, nil
			h.runLying(ctx, &all)
		})
	}
	t.Logf("%d histories: %+v", histories, all)
}

// lies are the figures of some histories.
type lies struct{ told, missing, lost, silent, revived, twice int }

// runLying is a few lives, one in which syncs lie, a loss of power, and a look at what is left.
func (h *history) runLying(ctx context.Context, all *lies) {
	h.disk.SetCapacity(0)
	h.live(ctx)
	if h.book.faulty() || !h.open(ctx) {
		return
	}
	lie := []disktest.Lie{disktest.Phantom, disktest.Misdirected}[h.rng.IntN(2)]
	for range 1 + h.rng.IntN(3) {
		h.disk.Inject(disktest.Fault{
			On: disktest.Sync, Lie: lie, Name: []string{"journal", "batches", ""}[h.rng.IntN(3)], Skip: h.rng.IntN(40),
		})
	}
	d := h.disk.(local)
	h.book.damaged, h.harm = true, "syncs lie" // a read of an evicted page finds it at once
	h.work(ctx)
	h.book.violations = nil
	told := d.Lies()
	h.end(false)
	if len(told) > 0 {
		all.told += len(told)
		h.survey(ctx, all)
	}
}

// survey opens what lies left and compares it with what was acknowledged.
func (h *history) survey(ctx context.Context, all *lies) {
	s, found, err := spool.Open(spool.Options{Dir: "data", FS: h.disk, SegmentBytes: h.shape.segment, DedupeWindow: 24 * time.Hour})
	if err != nil {
		h.book.fault("Open after lies: %v", err)
		return
	}
	h.spool = s
	seen := map[*entry]int{}
	h.readLeft(ctx, seen)
	for _, info := range s.Batches() {
		batch, err := s.Load(info.ID)
		if err != nil {
			if err := s.Lose(info.ID); err != nil {
				h.book.fault("Lose: %v", err)
			}
			continue
		}
		for _, t := range batch.Transactions {
			for _, u := range t.Usage {
				h.book.mu.Lock()
				e := h.book.findLocked(&event.Event{Transaction: t.Transaction})
				if serial := int(u.Value) - 1; serial >= 0 && serial < len(h.book.entries) {
					e = h.book.entries[serial]
				}
				if e == nil || e.event.Usage[0] != u {
					h.book.violateLocked("batch %v holds what was not sent: %+v", info.ID, u)
				} else {
					seen[e]++
				}
				h.book.mu.Unlock()
			}
		}
	}
	h.account(seen, all, len(found.Missing) > 0 && !found.Exact)
}

// readLeft reads the journal as far as it goes.
func (h *history) readLeft(ctx context.Context, seen map[*entry]int) {
	tail := h.spool.Tail()
	defer func() { _ = tail.Close() }()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		group, err := tail.Next(ctx)
		if err != nil {
			return
		}
		group.Events(func(got *event.Event) bool {
			h.book.mu.Lock()
			defer h.book.mu.Unlock()
			if e := h.book.findLocked(got); e == nil || !sameEvent(&e.event, got) {
				h.book.violateLocked("the journal holds what was not sent: %+v", got.Transaction)
			} else {
				seen[e]++
			}
			return true
		})
	}
}

// account adds up what is missing. atLeast: the start said that what it counts as lost is a lower bound.
func (h *history) account(seen map[*entry]int, all *lies, atLeast bool) {
	counts := h.spool.Counts()
	if counts.Accepted != counts.Delivered+counts.Dead+counts.Pending+counts.Lost {
		h.book.fault("counts do not add up: %+v", counts)
	}
	missing, revived, acknowledged, ending := 0, 0, 0, map[*entry]bool{} // those may have ended just before
	for _, s := range h.book.live {
		for _, entries := range s.entries {
			for _, e := range entries {
				ending[e] = s.outcome != nil
			}
		}
	}
	for _, e := range h.book.entries {
		if e.certain {
			acknowledged++
		}
		switch {
		case seen[e] > 1:
			all.twice++ // a requeued letter, and the batch whose end made it one
			revived++
		case seen[e] == 0 && e.certain && e.at != isDelivered && e.at != isDead && !ending[e] && len(e.event.Usage) > 0:
			missing++
		case seen[e] == 1 && (e.at == isDelivered || e.at == isDead):
			revived++
		}
	}
	all.missing += missing
	all.revived += revived
	all.lost += int(counts.Lost)
	silent := missing - int(counts.Lost)
	if silent <= 0 {
		return
	}
	all.silent += silent
	if !atLeast && silent > acknowledged-int(counts.Accepted)+revived { // more than what the journal is shorter by, or is counted twice; or nothing says that lost is a lower bound
		h.book.fault("%d of %d events are missing without a word: %+v", silent, acknowledged, counts)
	}
}
