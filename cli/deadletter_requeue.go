package cli

import (
	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/daemon/partition"
)

func newRequeue() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "requeue [ID]...",
		Short: "Make dead letters live again, to be reported once more",
		Long: `Turns dead letters into live batches, one each: their events are pending again
and go through everything a fresh batch goes through. A crash at any moment
leaves each letter dead or live, never both.

Usage keeps the time at which it happened, and the backend takes 24 hours at
most: what is older dies again as expired. --restamp counts it at the present
time instead.`,
		Example: `  reporterd deadletter requeue --reason application_not_found --dry-run
  reporterd deadletter requeue --reason application_not_found
  reporterd deadletter requeue 000000042000-0007-0003 --restamp --yes`,
		ValidArgsFunction: completeLetters,
		RunE:              func(cmd *cobra.Command, args []string) error { return runBulk(cmd, args, partition.Requeue) },
	}
	addBulk(cmd)
	cmd.Flags().Bool("restamp", false, "count the usage now, not when it happened")
	return cmd
}
