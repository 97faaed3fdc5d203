package spool_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/reporterd/reporterd/spool"
)

// TestModelDamage flips one bit of a log at rest, at or near the bytes of a known event, so that mostly
// only a checksum can tell. The next life starts, hands out nothing that was not written, and loses at
// most the frame that was hit, which it counts; everything else is as strict as in TestModel, also in
// the lives after.
func TestModelDamage(t *testing.T) {
	histories := histories(t, 60)
	first := uint64(fromEnv(t, "REPORTERD_MODEL_SEED", 1))
	var lost, undone int
	for seed := first; seed < first+uint64(histories); seed++ {
		h := runSeed(t, seed, func(ctx context.Context, h *history) {
			h.shape.faulty, h.shape.quota, h.shape.capacity = false, 0, 0
			h.digs, h.keeper = true, nil
			h.runDamaged(ctx)
		})
		for _, e := range h.book.entries {
			if e.at == isLost {
				lost++
			}
		}
		undone += h.undone
	}
	t.Logf("%d histories, %d events lost, %d pending again", histories, lost, undone)
}

// runDamaged is a few lives, a clean stop, damage, and a few lives more.
func (h *history) runDamaged(ctx context.Context) {
	h.disk.SetCapacity(0) // damage has to be set aside
	h.live(ctx)
	h.live(ctx)
	if h.book.faulty() || !h.open(ctx) {
		return
	}
	h.work(ctx)
	h.end(true)
	if h.book.faulty() || !h.open(ctx) { // it knows the groups of the journal now
		return
	}
	h.end(true)
	if hit := h.damage(); hit != nil {
		h.openDamaged(ctx, hit)
		if h.book.faulty() {
			return
		}
		h.end(false)
	}
	h.live(ctx)
	if !h.book.faulty() {
		h.drain(ctx)
	}
}

var names = regexp.MustCompile(`[en]\d{6}`)

// damage flips a bit and returns the events that may suffer from it, or nil when there was nothing to
// damage. In the journal that is a group, in the batch log all that descends from one cut batch.
func (h *history) damage() map[*entry]bool {
	type target struct {
		file   string
		offset int
		serial int
	}
	var targets []target
	d := h.disk.(local)
	for _, file := range d.Files() {
		if !strings.Contains(file, "/journal/") && !strings.Contains(file, "/batches/") {
			continue
		}
		content := d.Durable(file)
		for _, at := range names.FindAllIndex(content, -1) {
			serial, _ := strconv.Atoi(string(content[at[0]+1 : at[1]]))
			targets = append(targets, target{file, at[0], serial})
		}
	}
	if len(targets) == 0 {
		return nil
	}
	hit := targets[h.rng.IntN(len(targets))]
	d.Flip(hit.file, int64(hit.offset+h.rng.IntN(8)), uint(h.rng.IntN(3)))
	h.book.damaged = true
	h.harm = fmt.Sprintf("flipped a bit at event %d, %s offset %d", hit.serial, hit.file, hit.offset)
	if strings.Contains(hit.file, "/journal/") {
		return h.book.group(h.book.entries[hit.serial])
	}
	return h.book.family(h.book.entries[hit.serial])
}

// group returns the events that stand in one journal frame with e, if it is still in the journal.
func (b *book) group(e *entry) map[*entry]bool {
	hit := map[*entry]bool{}
	if e.at == inJournal {
		for _, other := range b.groups[e] {
			hit[other] = true
		}
	}
	return hit
}

// family returns the events that were cut into one batch with e.
func (b *book) family(e *entry) map[*entry]bool {
	hit := map[*entry]bool{}
	for id, s := range b.sealed {
		if id.Path == 0 && s.has(e) {
			for _, entries := range s.entries {
				for _, other := range entries {
					hit[other] = true
				}
			}
		}
	}
	return hit
}

// has reports whether an event is in the batch.
func (s *sealed) has(e *entry) bool {
	for _, entries := range s.entries {
		for _, other := range entries {
			if other == e {
				return true
			}
		}
	}
	return false
}

// openDamaged opens the directory after damage, and books what became of the events that were hit.
func (h *history) openDamaged(ctx context.Context, hit map[*entry]bool) {
	before := h.content()
	s, found, err := h.startDamaged()
	if err != nil {
		h.book.fault("Open after damage: %v", err)
		return
	}
	h.spool = s
	h.checkQuarantine(found, before)
	for _, info := range s.Batches() {
		if _, err := s.Load(info.ID); err != nil {
			if err := s.Lose(info.ID); err != nil {
				h.book.fault("Lose: %v", err)
			}
		}
	}
	st, err := look(ctx, s, h.book)
	if err != nil {
		h.book.fault("after damage: %v", err)
		return
	}
	h.undone += h.book.forgive(st, hit)
	h.book.reconcile(st)
}

// forgive makes the book agree with what is seen of the events that were hit, and returns how many were
// delivered or dead and are pending again.
func (b *book) forgive(st *state, hit map[*entry]bool) (undone int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := map[*entry]bool{}
	for _, e := range st.journal {
		found[e] = true
	}
	for id, s := range b.sealed {
		if !hit[s.entries[0][0]] {
			continue
		}
		s.forgiven = true
		if _, seen := st.infos[id]; seen == (b.live[id] != nil) {
			continue
		} else if !seen {
			delete(b.live, id)
			continue
		}
		s.outcome, s.attempts = nil, 0
		b.live[id] = s
		for _, entries := range s.entries {
			for _, e := range entries {
				undone++
				e.at = inBatch
			}
		}
	}
	for e := range hit {
		e.hit = true
		switch {
		case e.at == inJournal && !found[e]:
			e.at = isLost
		case e.at == inBatch && !b.aliveLocked(e):
			e.at = isLost
		}
	}
	return undone
}

// resurrectLocked books a batch that damage may have brought back: one of events that were hit, each as it was
// written. It reports whether that is what it is.
func (b *book) resurrectLocked(got *spool.Batch) bool {
	if got == nil {
		return false
	}
	s := &sealed{batch: *got, forgiven: true, tries: maxTries, doubts: maxTries}
	for _, t := range got.Transactions {
		var entries []*entry
		for _, u := range t.Usage {
			serial := int(u.Value) - 1
			if serial < 0 || serial >= len(b.entries) || b.entries[serial].event.Usage[0] != u || !b.entries[serial].hit {
				return false
			}
			entries = append(entries, b.entries[serial])
		}
		s.entries = append(s.entries, entries)
	}
	b.sealed[got.ID], b.live[got.ID] = s, s
	for _, entries := range s.entries {
		for _, e := range entries {
			e.at = inBatch
		}
	}
	return true
}

// maxTries is more attempts than any history makes.
const maxTries = 1 << 20

// aliveLocked reports whether an event is in a live batch.
func (b *book) aliveLocked(e *entry) bool {
	for _, s := range b.live {
		if s.has(e) {
			return true
		}
	}
	return false
}
