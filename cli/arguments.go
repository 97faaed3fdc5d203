package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// mistyped is how many letters may be wrong in a word for which a suggestion is made.
const mistyped = 2

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
		return fmt.Errorf("%q: no such command of %s%s", args[0], cmd.CommandPath(), didYouMean(cmd.SuggestionsFor(args[0])))
	}
	return fmt.Errorf("%q: %s takes options only", args[0], cmd.CommandPath())
}

// suggestOption adds to the error of an unknown option the one that was meant.
func suggestOption(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || len(unknown.GetSpecifiedName()) < 2 {
		return err
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	options := nearest(unknown.GetSpecifiedName(), names)
	for i := range options {
		options[i] = "--" + options[i]
	}
	return fmt.Errorf("%w%s", err, didYouMean(options))
}

// nearest are the names that a mistyped word may have meant, as cobra finds them for commands.
func nearest(word string, names []string) []string {
	parent := &cobra.Command{SuggestionsMinimumDistance: mistyped}
	for _, name := range names {
		if !strings.ContainsAny(name, " \t\n") {
			parent.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
		}
	}
	return parent.SuggestionsFor(word)
}

// didYouMean says which names may have been meant.
func didYouMean(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(names[:min(len(names), mostWords)], " or ") + "?"
}
