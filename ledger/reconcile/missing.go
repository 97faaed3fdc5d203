package reconcile

import (
	"maps"
	"slices"

	"github.com/reporterd/reporterd/ledger"
)

// mostMissing bounds the applications of one service that a run names as missing.
const mostMissing = 1000

// Missing are the applications of a service, as the ledger names them, and the metrics whose delivered usage is not in
// 3scale's counts, and those that were in the same batches.
type Missing struct {
	ServiceID    string
	Applications []string // at most mostMissing
	Metrics      []string
}

// missingOf returns the applications behind the suspect and short cells for which fresh is true.
func missingOf(b *Books, cells []Cell, fresh func(*Cell) bool) Missing {
	named, metrics := map[string]bool{}, map[string]bool{}
	for i := range cells {
		c := &cells[i]
		if c.Verdict != Short && c.Verdict != Suspect || !fresh(c) {
			continue
		}
		metrics[c.Metric] = true
		if c.AppID != "" {
			named[c.AppID] = true
		}
		for n := range b.Batches {
			if r := &b.Batches[n]; c.explainedBy(r) && len(named) < mostMissing {
				for _, part := range r.Cells {
					named[part.AppID], metrics[part.Metric] = true, true
				}
			}
		}
	}
	return Missing{ServiceID: b.ServiceID, Applications: slices.Sorted(maps.Keys(named)), Metrics: slices.Sorted(maps.Keys(metrics))}
}

// explainedBy reports whether a batch may be one whose usage is missing from the cell: one of its evidence, or, where there is
// none, any that delivered to it.
func (c *Cell) explainedBy(r *ledger.BatchRecord) bool {
	if len(c.Evidence) > 0 {
		return slices.ContainsFunc(c.Evidence, func(e Evidence) bool { return e.Batch == r.ID && (e.Fate == Dropped || e.Fate == Possible) })
	}
	return slices.ContainsFunc(r.Cells, func(p ledger.BatchCell) bool {
		return p.Hour.Equal(c.Hour) && p.Metric == c.Metric && p.Delivered > 0 && (c.AppID == "" || p.AppID == c.AppID)
	})
}

// tell calls Options.OnMissing with what is missing for the first time.
func (k *Keeper) tell(r *Report) {
	if k.options.OnMissing == nil {
		return
	}
	for _, m := range r.missing {
		if len(m.Applications) > 0 {
			k.options.OnMissing(m)
		}
	}
}

// isFresh reports whether a cell is missing usage that was not in the run before, and remembers it. Runs are one at a time.
func (k *Keeper) isFresh(c *Cell) bool {
	name := cellName{c.ServiceID, c.AppID, c.Metric, c.Hour.Unix()}
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.told[name]
	k.told[name] = c.Delta
	return c.Delta < before
}
