package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// oneArgument refuses anything but one word, and says what it should be.
func oneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s takes one argument: %s", cmd.CommandPath(), what)
		}
		return nil
	}
}

// noArguments refuses words after a command that takes none, by name.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		return fmt.Errorf("%q: no such command of %s", args[0], cmd.CommandPath())
	}
	return fmt.Errorf("%q: %s takes options only", args[0], cmd.CommandPath())
}
