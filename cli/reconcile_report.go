package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/ledger/reconcile"
)

func showReport(s *terminal.Screen, r *reconcile.Report, all bool) error {
	if s.JSON() {
		for i := range r.Cells {
			if err := s.Object(&r.Cells[i]); err != nil {
				return err
			}
		}
		return nil
	}
	s.Printf("portal %s   final up to %s   %s\n", r.Portal, r.SealedThrough.UTC().Format("2006-01-02 15:04Z"), count(int(r.Calls), "call"))
	if r.Missed {
		s.Printf("%s the ledger has missed something: its figures may be less than what happened\n", s.Paint(terminal.Yellow, "note:"))
	}
	var table *terminal.Table
	for i := range r.Cells {
		c := &r.Cells[i]
		if !all && c.Verdict.Settled() && len(c.Evidence) == 0 && c.Receipts != reconcile.Differs {
			continue
		}
		if table == nil {
			table = s.Table("SERVICE", "HOUR (UTC)", "APP", "METRIC", "DELIVERED", "AMBIGUOUS", "3SCALE", "DELTA", "VERDICT")
		}
		table.Row(c.ServiceID, c.Hour.UTC().Format("2006-01-02 15:04"), cmp.Or(c.AppID, "*"), c.Metric,
			c.Delivered, c.Ambiguous, c.Counted, signed(c.Delta), verdictLine(c))
	}
	if table != nil {
		table.Flush()
	}
	s.Printf("%s\n", summaryLine(r))
	return nil
}

// verdictLine is a verdict with its reason, and the batches that explain it.
func verdictLine(c *reconcile.Cell) string {
	line := string(c.Verdict)
	if !c.Final && c.Verdict != reconcile.Open && c.Verdict != reconcile.Settling {
		line += "*"
	}
	if c.Reason != "" {
		line += ": " + c.Reason
	}
	if c.Receipts != "" {
		line += "; receipts: " + string(c.Receipts)
	}
	for _, e := range c.Evidence {
		line += fmt.Sprintf("; batch %s %s", e.Batch, e.Fate)
	}
	return line
}

func summaryLine(r *reconcile.Report) string {
	var parts []string
	for v, n := range r.Summary {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	for a, n := range r.Receipts {
		parts = append(parts, fmt.Sprintf("%d by receipts %s", n, a))
	}
	slices.Sort(parts)
	if len(parts) == 0 {
		return "nothing was delivered in this time"
	}
	return fmt.Sprintf("%s: %s   (* may still change)", count(len(r.Cells), "cell"), strings.Join(parts, ", "))
}

// outcome is the exit status that a report deserves.
func outcome(r *reconcile.Report) error {
	unsure := r.Missed
	for v, n := range r.Summary {
		if n > 0 && v.Difference() {
			return &failure{statusDiffers, nil}
		}
		unsure = unsure || n > 0 && !v.Settled()
	}
	if unsure {
		return &failure{statusUnsure, nil}
	}
	return nil
}

// signed is a number that prints with its sign.
type signed int64

// String prints the sign of positive numbers, too.
func (n signed) String() string { return fmt.Sprintf("%+d", int64(n)) }
