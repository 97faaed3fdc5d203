package cli

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/spool"
)

func newTotals() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Print totals as the next start would rebuild them, by lane",
		Long: `Rebuilds the totals from what is on disk, as the next start would, and sums what
waits for delivery by service and credentials. Beside a running daemon the
figures are a moment old, and agree with each other:

  accepted = delivered + dead + pending + lost`,
		Example: `  reporterd spool stats
  reporterd spool stats --output json | jq .events.pending`,
		Args: noArguments,
		RunE: inspecting(func(ctx context.Context, s *terminal.Screen, c *config.Config, _ *cobra.Command, _ []string) error {
			return printTotals(ctx, s, c.DataDir)
		}),
	}
	addDirectory(cmd)
	addOutput(cmd)
	return cmd
}

// totals is what stats prints, in JSON.
type totals struct {
	Events      eventTotals `json:"events"`
	Committed   uint64      `json:"committed"` // position of the last cut
	Batches     int         `json:"batches"`
	DeadLetters int         `json:"dead_letters"`
	Segments    int         `json:"segments"`
	Bytes       int64       `json:"bytes"`
	Quarantined int64       `json:"quarantined_bytes"`
	InUse       bool        `json:"in_use"`
	Lanes       []laneTotal `json:"lanes"`
}

// eventTotals has the names of GET /api/v1/status.
type eventTotals struct {
	Accepted   uint64 `json:"accepted"`
	Duplicates uint64 `json:"duplicates"`
	Delivered  uint64 `json:"delivered"`
	Dead       uint64 `json:"dead"`
	Pending    uint64 `json:"pending"`
	Ambiguous  uint64 `json:"ambiguous"`
	Lost       uint64 `json:"lost"`
}

// laneTotal sums what waits in a lane.
type laneTotal struct {
	ServiceID    string    `json:"service_id"`
	Credentials  string    `json:"credentials"` // configured, or [redacted]
	Batches      int       `json:"batches"`
	Transactions int       `json:"transactions"`
	Events       uint64    `json:"events"`    // in batches
	Journal      uint64    `json:"journal"`   // events that are in no batch yet
	Ambiguous    int       `json:"ambiguous"` // batches that were sent with an unknown outcome
	Oldest       time.Time `json:"oldest_usage"`
}

func printTotals(ctx context.Context, s *terminal.Screen, dir string) error {
	in, err := spool.Inspect(ctx, spool.InspectOptions{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	lanes, err := sumLanes(in)
	if err != nil {
		return err
	}
	u := in.Usage()
	t := totals{
		Events: eventTotals(in.Found.Counts), Committed: uint64(in.Found.Committed), Batches: u.Batches, DeadLetters: u.DeadLetters,
		Segments: u.Segments, Bytes: u.Bytes, Quarantined: u.QuarantinedBytes, InUse: in.InUse, Lanes: lanes,
	}
	if s.JSON() {
		return s.Object(t)
	}
	showTotals(s, &t)
	for _, line := range in.Found.Lines()[1:] {
		s.Printf("%s\n", line)
	}
	return nil
}

// sumLanes adds up batches and what is only in the journal.
func sumLanes(in *spool.Inspection) ([]laneTotal, error) {
	lanes := map[spool.LaneKey]*laneTotal{}
	of := func(key spool.LaneKey) *laneTotal {
		l := lanes[key]
		if l == nil {
			l = &laneTotal{ServiceID: key.ServiceID, Credentials: namedCredentials(key)}
			lanes[key] = l
		}
		return l
	}
	for _, info := range in.Batches() {
		l := of(info.Lane)
		l.Batches, l.Transactions, l.Events = l.Batches+1, l.Transactions+info.Transactions, l.Events+info.Events
		if info.Unresolved > 0 {
			l.Ambiguous++
		}
		l.older(info.OldestTimestamp)
	}
	err := in.Uncut(func(lane spool.LaneKey, timestamp int64) bool {
		l := lanes[lane]
		if l == nil {
			l = of(lane.Clone())
		}
		l.Journal++
		l.older(timestamp)
		return true
	})
	sums := make([]laneTotal, 0, len(lanes))
	for _, l := range lanes {
		sums = append(sums, *l)
	}
	slices.SortFunc(sums, func(a, b laneTotal) int {
		return cmp.Or(cmp.Compare(a.ServiceID, b.ServiceID), -cmp.Compare(a.Credentials, b.Credentials), cmp.Compare(b.Events, a.Events))
	})
	return sums, err
}

func (l *laneTotal) older(timestamp int64) {
	if at := time.Unix(timestamp, 0).UTC(); timestamp != 0 && (l.Oldest.IsZero() || at.Before(l.Oldest)) {
		l.Oldest = at
	}
}

// namedCredentials says which credentials a lane uses, never what they are.
func namedCredentials(key spool.LaneKey) string {
	if key == (spool.LaneKey{ServiceID: key.ServiceID}) {
		return "configured"
	}
	return "[redacted]"
}

func showTotals(s *terminal.Screen, t *totals) {
	e, table := t.Events, s.Table()
	lost := terminal.Cell{Text: "lost"}
	if e.Lost > 0 {
		lost.Colour = terminal.Red
	}
	table.Row("accepted", e.Accepted)
	table.Row("delivered", e.Delivered)
	table.Row("dead", e.Dead)
	table.Row("pending", e.Pending)
	table.Row(lost, e.Lost)
	table.Row("duplicates", e.Duplicates)
	table.Row("ambiguous", e.Ambiguous)
	table.Flush()
	s.Printf("\nlive batches: %d, dead letters: %d, segments: %d, on disk: %s, in quarantine: %s\n",
		t.Batches, t.DeadLetters, t.Segments, terminal.Size(t.Bytes), terminal.Size(t.Quarantined))
	if len(t.Lanes) == 0 {
		return
	}
	s.Printf("\n")
	table = s.Table("SERVICE", "CREDENTIALS", "BATCHES", "TRANSACTIONS", "EVENTS", "JOURNAL", "AMBIGUOUS", "OLDEST")
	for _, l := range t.Lanes {
		table.Row(l.ServiceID, l.Credentials, l.Batches, l.Transactions, l.Events, l.Journal, l.Ambiguous, l.Oldest)
	}
	table.Flush()
}
