package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/console/client"
)

// flushTimeout is how long a flush is waited for: reports to a backend that does not answer take its timeout.
const flushTimeout = 5 * time.Minute

func newFlush() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "flush",
		Short: "Seal and send what was accepted, and say what came of it",
		Long: `Seals what was accepted so far and tries every lane at once, also those that are
held or wait before a retry. It prints what came of each lane that had something
to send:

  delivered   nothing is left
  failed      it was tried and not delivered; the last column says why
  not tried   the backend did not answer another lane's report
  waiting     for a confirmation of an application or a metric, for a timestamp
              ahead of the clock, or for its receipt
  parked      the outcome is unknown, and you have to decide: reporterd parked
              ls

Exit status: 0 nothing is left but parked reports, 1 something is, or no answer,
2 wrong usage of the command line, 78 wrong configuration.`,
		Example: `  reporterd flush
  reporterd flush --output json | jq '.lanes[] | select(.result == "failed")'`,
		Args: noArguments,
		RunE: operating(func(ctx context.Context, s *terminal.Screen, daemon *client.Client, _ *cobra.Command, _ []string) error {
			daemon.SetTimeout(timeout)
			s.Note("sealing and sending…")
			came, err := daemon.Flush(ctx)
			if err != nil {
				return err
			}
			return showFlush(s, &came)
		}),
	}
	addDaemon(cmd)
	addDuration(cmd.Flags(), &timeout, "timeout", flushTimeout, "how long to wait for the answer")
	addOutput(cmd)
	return cmd
}

func showFlush(s *terminal.Screen, came *console.Flushed) error {
	left, done := 0, 0
	for i := range came.Lanes {
		if came.Lanes[i].Done() {
			done++
		} else {
			left++
		}
	}
	if s.JSON() {
		if err := s.Object(came); err != nil {
			return err
		}
	} else {
		showFlushedLanes(s, came.Lanes)
	}
	if left > 0 {
		return failed(fmt.Errorf("%s not delivered: the usage stays on disk and is retried", count(left, "lane")))
	}
	return nil
}

func showFlushedLanes(s *terminal.Screen, lanes []console.FlushedLane) {
	if len(lanes) == 0 {
		s.Printf("nothing was waiting\n")
		return
	}
	colours := map[string]terminal.Colour{"delivered": terminal.Green, "failed": terminal.Red, "not tried": terminal.Red, "parked": terminal.Yellow, "waiting": terminal.Yellow}
	table := s.Table("SERVICE", "RESULT", "BATCHES", "EVENTS", "STATE", "WHY")
	for _, l := range lanes {
		table.Row(laneName(l.ServiceID, l.PassedOn), terminal.Cell{Text: l.Result, Colour: colours[l.Result]}, l.Batches, l.Events, l.State, l.LastError)
	}
	table.Flush()
}

// laneName names a lane: its service, and whether its credentials came with the reports.
func laneName(service string, passedOn bool) string {
	if passedOn {
		return service + " (passed on)"
	}
	return service
}
