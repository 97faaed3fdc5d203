package cli

import (
	"github.com/spf13/cobra"
)

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make tokens for producers and operators",
		Args:  noArguments,
		RunE:  showHelp,
	}
	cmd.AddCommand(newTokenCreate(), newTokenHash())
	return cmd
}
