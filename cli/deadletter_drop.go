package cli

import (
	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/daemon/partition"
)

func newDrop() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drop [ID]...",
		Short: "Delete dead letters for good",
		Long: `Deletes dead letters. Their events remain counted as dead, and the daemon logs a
line for each. Export them first if they may be needed later.`,
		Example: `  reporterd deadletter export --older-than 30d --file dead.ndjson
  reporterd deadletter drop --older-than 30d
  reporterd deadletter drop 000000042000-0007-0003 --yes`,
		ValidArgsFunction: completeLetters,
		RunE:              func(cmd *cobra.Command, args []string) error { return runBulk(cmd, args, partition.Drop) },
	}
	addBulk(cmd)
	return cmd
}
