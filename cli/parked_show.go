package cli

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/console/client"
)

func newParkedShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Print a parked report with its transactions",
		Long: `Prints a parked report: when it was attempted, and the usage in it, to compare
with what 3scale shows for these applications. A user key prints as the ledger
names it, by a hash.`,
		Example: `  reporterd parked show 000000042000-0007
  reporterd usage 2555417 --app app1 --by hour --since 24h`,
		Args:              oneArgument("the id of a parked report; reporterd parked ls lists them"),
		ValidArgsFunction: completeParked,
		RunE: operating(func(ctx context.Context, s *terminal.Screen, daemon *client.Client, _ *cobra.Command, args []string) error {
			p, err := daemon.ParkedReport(ctx, args[0])
			if err != nil {
				return fmt.Errorf("%q: %w", args[0], err)
			}
			if s.JSON() {
				return s.Object(p)
			}
			showParked(s, &p)
			return nil
		}),
	}
	addDaemon(cmd)
	addOutput(cmd)
	return cmd
}

func showParked(s *terminal.Screen, p *console.Parked) {
	s.Fields([][2]string{
		{"report", p.ID}, {"service", p.ServiceID}, {"events", fmt.Sprintf("%d in %s", p.Events, count(len(p.Transactions), "transaction"))},
		{"attempts", fmt.Sprintf("%d, %d with an unknown outcome", p.Attempts, p.Ambiguous)},
		{"last attempt", terminal.Time(p.LastAttempt)}, {"sealed", terminal.Time(p.SealedAt)},
	}...)
	s.Printf("\n")
	table := s.Table("APPLICATION", "TIMESTAMP", "EVENTS", "CODE", "USAGE")
	for _, t := range p.Transactions {
		table.Row(cmp.Or(t.AppID, t.UserKey), t.Timestamp, t.Events, code(t.ResponseCode), usageText(t.Usage))
	}
	table.Flush()
}
