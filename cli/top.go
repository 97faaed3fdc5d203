package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/console/client"
)

// topRows is how many services top shows, unless --limit says otherwise: with its header they fit on 24 lines.
const topRows = 15

func newTop() *cobra.Command {
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show rates and the busiest services, again and again",
		Long: `Shows events a second in and out, and the services with the highest rate of
delivered events, then those with the most that waits. The first 100 services of
the configuration are told apart; all other ones are one line, other.

Exit status: 0 it was ended by Ctrl-C or --count, 1 no answer, 2 wrong usage of
the command line, 78 wrong configuration.`,
		Example: `  reporterd top
  reporterd top --interval 10s --count 1 --output json | jq .out_per_second`,
		Args: noArguments,
		RunE: operating(func(ctx context.Context, s *terminal.Screen, daemon *client.Client, cmd *cobra.Command, _ []string) error {
			looks, _ := cmd.Flags().GetInt("count")
			rows, _ := cmd.Flags().GetInt("limit")
			switch {
			case interval <= 0:
				return misuse(fmt.Errorf("--interval: %v: expected more than 0s", interval))
			case looks < 0:
				return misuse(fmt.Errorf("--count: %d: expected how many times, or 0 for until Ctrl-C", looks))
			case rows < 1:
				return misuse(fmt.Errorf("--limit: %d: expected at least 1", rows))
			}
			return top(ctx, s, daemon, interval, looks, rows)
		}),
	}
	addDaemon(cmd)
	addDuration(cmd.Flags(), &interval, "interval", watchInterval, "how often to look")
	cmd.Flags().IntP("count", "n", 0, "look so `many` times; 0: until Ctrl-C")
	cmd.Flags().Int("limit", topRows, "show so `many` services")
	addOutput(cmd)
	return cmd
}

// load is what top shows for one interval.
type loadFigures struct {
	Time    time.Time     `json:"time"`
	Seconds float64       `json:"seconds"`        // of the interval
	In      float64       `json:"in_per_second"`  // accepted events
	Out     float64       `json:"out_per_second"` // delivered events
	Calls   float64       `json:"calls_per_second"`
	Pending uint64        `json:"pending"`
	Oldest  float64       `json:"oldest_age_seconds"`
	Rows    []serviceLoad `json:"services"`
}

type serviceLoad struct {
	ServiceID string  `json:"service_id"`
	Out       float64 `json:"out_per_second"`
	Dead      float64 `json:"dead_per_second"`
	Waiting   uint64  `json:"waiting"` // events in sealed batches
	Oldest    float64 `json:"oldest_age_seconds"`
	State     string  `json:"state"` // the worst of its lanes
}

// top looks once to begin with, and then prints what changed in each interval.
func top(ctx context.Context, s *terminal.Screen, daemon *client.Client, interval time.Duration, looks, rows int) error {
	before, err := daemon.Status(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	s.Note(fmt.Sprintf("the first figures come in %v", interval))
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := daemon.Status(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		at := time.Now()
		figures := compare(&before, &now, at.Sub(began).Seconds())
		figures.Time = at.UTC()
		if err := showLoad(s, figures, rows); err != nil {
			return err
		}
		if n == looks {
			return nil
		}
		before, began = now, at
	}
}

// compare is what happened between two looks. Where counters went back, the daemon was started anew in between: the rate is 0.
func compare(before, now *console.Status, seconds float64) *loadFigures {
	rate := func(a, b uint64) float64 {
		if b < a || seconds <= 0 {
			return 0
		}
		return float64(b-a) / seconds
	}
	f := &loadFigures{
		Seconds: seconds, In: rate(before.Events.Accepted, now.Events.Accepted), Out: rate(before.Events.Delivered, now.Events.Delivered),
		Calls: rate(before.Backend.Calls, now.Backend.Calls), Pending: now.Events.Pending, Oldest: now.Spool.OldestAge, Rows: []serviceLoad{},
	}
	was := make(map[string]console.StatusService, len(before.Services))
	for _, one := range before.Services {
		was[one.ServiceID] = one
	}
	states := worstStates(now)
	for _, one := range now.Services {
		f.Rows = append(f.Rows, serviceLoad{
			ServiceID: one.ServiceID, Out: rate(was[one.ServiceID].Delivered, one.Delivered), Dead: rate(was[one.ServiceID].Dead, one.Dead),
			Waiting: one.Events, Oldest: one.OldestAge, State: states[one.ServiceID],
		})
	}
	slices.SortStableFunc(f.Rows, func(a, b serviceLoad) int {
		return cmp.Or(cmp.Compare(b.Out, a.Out), cmp.Compare(b.Waiting, a.Waiting))
	})
	return f
}

// worstStates are the worst states of the lanes of services.
func worstStates(now *console.Status) map[string]string {
	order := []string{"", "flowing", "draining", "parked", "retrying", "held"}
	states := make(map[string]string)
	for _, l := range now.Lanes {
		if slices.Index(order, l.State) > slices.Index(order, states[l.ServiceID]) {
			states[l.ServiceID] = l.State
		}
	}
	return states
}

func showLoad(s *terminal.Screen, f *loadFigures, rows int) error {
	if s.JSON() {
		return s.Object(f)
	}
	s.Refresh()
	s.Printf("%s   in %s   out %s events/s   %s calls/s   pending %d   oldest %s\n\n", f.Time.Format(time.TimeOnly+"Z"),
		perSecond(f.In), perSecond(f.Out), perSecond(f.Calls), f.Pending, age(f.Oldest))
	table := s.Table("SERVICE", "OUT/S", "DEAD/S", "WAITING", "OLDEST", "STATE")
	for _, r := range f.Rows[:min(rows, len(f.Rows))] {
		if r.ServiceID == "other" && r.Out == 0 && r.Waiting == 0 && r.Dead == 0 {
			continue
		}
		table.Row(r.ServiceID, figure(perSecond(r.Out)), figure(perSecond(r.Dead)), r.Waiting, age(r.Oldest),
			terminal.Cell{Text: cmp.Or(r.State, "-"), Colour: laneColours[r.State]})
	}
	table.Flush()
	if more := len(f.Rows) - rows; more > 0 {
		s.Printf("and %s\n", count(more, "other service"))
	}
	return nil
}

// figure is a number as it is to be printed, which a table sets to the right.
type figure string

// String returns it.
func (f figure) String() string { return string(f) }

// perSecond is a rate, with a decimal below ten.
func perSecond(rate float64) string {
	if rate > 0 && rate < 10 {
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}
