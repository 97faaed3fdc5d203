package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/ledger/reconcile"
)

func showReport(s *screen, r *reconcile.Report, all bool) error {
	if s.json {
		for i := range r.Cells {
			if err := s.object(&r.Cells[i]); err != nil {
				return err
			}
		}
		return nil
	}
	s.printf("portal %s   final up to %s   %s\n", r.Portal, r.SealedThrough.UTC().Format("2006-01-02 15:04Z"), count(int(r.Calls), "call"))
	if r.Missed {
		s.printf("%s the ledger has missed something: its figures may be less than what happened\n", s.paint(yellow, "note:"))
	}
	table := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	head := false
	for i := range r.Cells {
		c := &r.Cells[i]
		if !all && c.Verdict.Settled() && len(c.Evidence) == 0 {
			continue
		}
		if !head {
			head = true
			fmt.Fprintln(table, "SERVICE\tHOUR (UTC)\tAPP\tMETRIC\tDELIVERED\tAMBIGUOUS\t3SCALE\tDELTA\tVERDICT")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%+d\t%s\n", c.ServiceID, c.Hour.UTC().Format("2006-01-02 15:04"), cmp.Or(terminal.Clean(c.AppID), "*"), terminal.Clean(c.Metric),
			c.Delivered, c.Ambiguous, c.Counted, c.Delta, verdictLine(c))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	s.printf("%s\n", summaryLine(r))
	return nil
}

// verdictLine is a verdict with its reason, and the batches that explain it.
func verdictLine(c *reconcile.Cell) string {
	line := string(c.Verdict)
	if !c.Final && c.Verdict != reconcile.Open && c.Verdict != reconcile.Settling {
		line += "*"
	}
	if c.Reason != "" {
		line += ": " + terminal.Clean(c.Reason)
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
