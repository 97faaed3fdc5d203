package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/console/client"
)

// watchInterval is how often status --watch and top look, unless --interval says otherwise.
const watchInterval = 2 * time.Second

func newStatus() *cobra.Command {
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the daemon is: events, spool, backend, lanes",
		Long: `Asks the daemon how it is, and prints the totals of all events, the parts that
do not work, and the lanes that have something to deliver. A lane is the queue
of one service with one set of credentials; its state is

  flowing    it delivers what is sealed
  draining   it delivers again, with a backlog
  retrying   the last attempt failed; the next comes by itself
  held       3scale refuses the credentials, or something else has to be put
             right
  parked     all that waits has an unknown outcome: reporterd parked

Exit status: 0 the daemon answers, 1 no answer, 2 wrong usage of the command
line, 78 wrong configuration. Whether it is ready: reporterd healthcheck.`,
		Example: `  reporterd status
  reporterd status --watch
  reporterd status --output json | jq '.lanes[] | select(.state != "flowing")'`,
		Args: noArguments,
		RunE: operating(func(ctx context.Context, s *terminal.Screen, daemon *client.Client, cmd *cobra.Command, _ []string) error {
			watch, _ := cmd.Flags().GetBool("watch")
			if !watch {
				return status(ctx, s, daemon)
			}
			if interval <= 0 {
				return misuse(fmt.Errorf("--interval: %v: expected more than 0s", interval))
			}
			return watching(ctx, interval, func() error {
				s.Refresh()
				err := status(ctx, s, daemon)
				if err != nil && ctx.Err() == nil { // it may come back
					s.Tell("%s\n", terminal.Clean(err.Error()))
				}
				return nil
			})
		}),
	}
	addDaemon(cmd)
	cmd.Flags().BoolP("watch", "w", false, "print it again and again, until Ctrl-C")
	addDuration(cmd.Flags(), &interval, "interval", watchInterval, "how often, with --watch")
	addOutput(cmd)
	return cmd
}

// watching calls look now and at every interval, until ctx ends or look fails. Ctrl-C is how a person ends it: no error.
func watching(ctx context.Context, interval time.Duration, look func() error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := look(); err != nil {
			if errors.Is(err, context.Canceled) && ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// status prints how the daemon is, once.
func status(ctx context.Context, s *terminal.Screen, daemon *client.Client) error {
	now, err := daemon.Status(ctx)
	if err != nil {
		return err
	}
	health, err := daemon.Parts(ctx)
	if err != nil {
		return err
	}
	if s.JSON() {
		return s.Object(struct {
			console.Status
			Health console.Health `json:"health"`
		}{now, health})
	}
	showStatus(s, &now, &health)
	return nil
}

// partColours are the colours of parts and of the daemon as a whole.
var partColours = map[string]terminal.Colour{"ok": terminal.Green, "degraded": terminal.Yellow, "failed": terminal.Red}

func showStatus(s *terminal.Screen, now *console.Status, health *console.Health) {
	table := s.Table()
	table.Row("version", fmt.Sprintf("%s, running for %s", now.Version, terminal.Age(seconds(now.Uptime))))
	table.Row("health", terminal.Cell{Text: health.Status, Colour: partColours[health.Status]})
	for _, p := range health.Parts {
		if p.Status == "degraded" || p.Status == "failed" {
			table.Row("", terminal.Cell{Text: fmt.Sprintf("%s %s: %s", p.Name, p.Status, p.Detail), Colour: partColours[p.Status]})
		}
	}
	e := now.Events
	table.Row("events", fmt.Sprintf("%d accepted = %d delivered + %d dead + %d pending + %d lost", e.Accepted, e.Delivered, e.Dead, e.Pending, e.Lost))
	if now.Receipts == nil {
		table.Row("", "delivered is what 3scale accepted: no service has receipts")
	} else {
		table.Row("", fmt.Sprintf("delivered is what 3scale counted, of services with receipts; %s without an end yet", count(now.Receipts.Open, "report")))
	}
	if e.Duplicates > 0 || e.Ambiguous > 0 {
		table.Row("", fmt.Sprintf("%d duplicates, %d in reports whose outcome was unknown", e.Duplicates, e.Ambiguous))
	}
	waits := "nothing waits"
	if e.Pending > 0 {
		waits = fmt.Sprintf("%s, the oldest event waits for %s", batches(now.Spool.Batches), age(now.Spool.OldestAge))
	}
	table.Row("spool", fmt.Sprintf("%s of %s; %s", terminal.Size(now.Spool.Bytes), terminal.Size(now.Spool.Quota), waits))
	table.Row("backend", fmt.Sprintf("%s with %s, at most %d in flight", count(int(now.Backend.Calls), "call"),
		count(int(now.Backend.Transactions), "transaction"), now.Backend.Limit))
	table.Row("clock", clockCell(&now.Backend.Clock))
	table.Flush()
	showLanes(s, now.Lanes)
	for _, other := range now.OtherLanes {
		s.Printf("and %s %s: %s, %s\n", count(other.Lanes, other.State+" lane"), "with credentials that reporters sent",
			batches(other.Batches), count(int(other.Events), "event"))
	}
}

// clockCell says how 3scale's clock differs from the daemon's.
func clockCell(c *console.StatusClock) terminal.Cell {
	cell := terminal.Cell{Text: "3scale's is unknown: no answer has shown it"}
	switch {
	case c.State == "agrees":
		cell = terminal.Cell{Text: "3scale's agrees with the daemon's", Colour: terminal.Green}
	case c.State == "ahead" && c.Least != nil:
		cell = terminal.Cell{Text: fmt.Sprintf("3scale's is ahead by %s at least", terminal.Age(seconds(*c.Least))), Colour: terminal.Red}
	case c.State == "behind" && c.Most != nil:
		cell = terminal.Cell{Text: fmt.Sprintf("3scale's is behind by %s at least", terminal.Age(seconds(-*c.Most))), Colour: terminal.Red}
	}
	if c.Waiting > 0 {
		cell.Text += fmt.Sprintf("; waiting for it to be set right: %s", batches(c.Waiting))
	}
	return cell
}

// laneColours are the colours of the states of lanes.
var laneColours = map[string]terminal.Colour{
	"flowing": terminal.Green, "draining": terminal.Yellow, "retrying": terminal.Red, "held": terminal.Red, "parked": terminal.Yellow,
}

// showLanes prints the lanes that have something to deliver, or are in trouble.
func showLanes(s *terminal.Screen, lanes []console.StatusLane) {
	var table *terminal.Table
	for _, l := range lanes {
		if l.Batches == 0 && l.State == "flowing" {
			continue
		}
		if table == nil {
			s.Printf("\n")
			table = s.Table("SERVICE", "STATE", "BATCHES", "EVENTS", "PARKED", "OLDEST", "WHY")
		}
		why := l.LastError
		if l.Questioned > 0 {
			why = strings.TrimPrefix(why+"; "+toBeConfirmed(l), "; ")
		}
		table.Row(l.ServiceID, terminal.Cell{Text: l.State, Colour: laneColours[l.State]}, l.Batches, l.Events, l.Parked, age(l.OldestAge), why)
	}
	if table != nil {
		table.Flush()
	}
}

// toBeConfirmed says what waits for 3scale to confirm its applications and metrics, and for how long.
func toBeConfirmed(l console.StatusLane) string {
	text := batches(l.Questioned) + " unconfirmed"
	if l.Probation > 0 {
		text += " for " + age(l.Probation)
	}
	return text
}

func batches(n int) string {
	if n == 1 {
		return "1 batch"
	}
	return fmt.Sprintf("%d batches", n)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// age is how long something has waited; nothing waits at 0.
func age(s float64) string {
	if s == 0 {
		return "-"
	}
	return terminal.Age(seconds(s))
}
