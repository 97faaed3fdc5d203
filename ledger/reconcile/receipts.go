package reconcile

import (
	"fmt"
	"slices"

	"github.com/reporterd/reporterd/ledger"
)

// Agreement says whether 3scale's counts by hour and the receipts of reports show the same of a cell.
type Agreement string

// The agreements. Empty: the service has no receipts, the counts could not be read, or usage of the cell may still be counted.
const (
	Confirmed Agreement = "confirmed" // as much is counted as receipts showed
	Explained Agreement = "explained" // the difference is in reports that receipts named: partial, double or unconfirmed
	Differs   Agreement = "differs"   // receipts showed another amount: the reason says by how much
)

// The fates of batches that receipts named.
const (
	NamedPartial     Fate = ledger.Partial
	NamedDouble      Fate = ledger.Double
	NamedUnconfirmed Fate = ledger.Unconfirmed
)

// mostCopies is how often a report with the end double was counted at the most: its receipts tell two and three apart from once.
const mostCopies = 3

// compareReceipts sets the agreement of a cell whose verdict is known, and adds the batches that receipts named as evidence.
func (s *sheet) compareReceipts(c *Cell) {
	if !slices.Contains(s.rules.Receipts, s.ServiceID) || c.AppID == otherApps || c.Verdict == Unverifiable && s.unknown(c) != "" {
		return
	}
	named := c.Partial + c.Double + c.Unconfirmed
	if named > 0 {
		s.nameBatches(c)
	}
	low, high := -(c.Partial + c.Unconfirmed), (mostCopies-1)*(c.Double+c.Unconfirmed)
	switch {
	case c.Verdict == Open || c.Verdict == Settling:
		return
	case c.Delta < low:
		c.Receipts = Differs
		c.Reason = also(c.Reason, fmt.Sprintf("receipts showed %d counted that is missing here", low-c.Delta))
	case c.Delta > high && s.sole(c.Metric):
		c.Receipts = Differs
		c.Reason = also(c.Reason, fmt.Sprintf("%d more is counted than receipts showed", c.Delta-high))
	case named > 0:
		c.Receipts = Explained
		c.Reason = also(c.Reason, fmt.Sprintf("receipts named %d partial, %d double, %d unconfirmed", c.Partial, c.Double, c.Unconfirmed))
	default:
		c.Receipts = Confirmed
	}
}

// nameBatches adds the batches with usage in a cell that receipts named.
func (s *sheet) nameBatches(c *Cell) {
	for i := range s.Batches {
		b := &s.Batches[i]
		if b.End.Kind != "" && slices.ContainsFunc(b.Cells, func(k ledger.BatchCell) bool { return s.within(&k, c) }) {
			c.Evidence = append(c.Evidence, Evidence{b.ID, Fate(b.End.Kind), true})
		}
	}
}

// within reports whether a batch's part is in a cell, methods included.
func (s *sheet) within(k *ledger.BatchCell, c *Cell) (in bool) {
	if !k.Hour.Equal(c.Hour) || c.AppID != "" && c.AppID != k.AppID {
		return false
	}
	up(s.Parents, k.Metric, func(metric string) { in = in || metric == c.Metric })
	return in
}

func also(reason, more string) string {
	if reason == "" {
		return more
	}
	return reason + "; " + more
}
