package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/daemon"
)

// addOutput defines --output.
func addOutput(cmd *cobra.Command) {
	cmd.Flags().StringP("output", "o", "table", "`table` for people, or json: one object a line")
}

// newScreen reads --output and finds out who reads.
func newScreen(cmd *cobra.Command) (*terminal.Screen, error) {
	o := terminal.Options{Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()}
	switch format, _ := cmd.Flags().GetString("output"); format {
	case "", "table":
	case "json":
		o.JSON = true
	default:
		return nil, misuse(fmt.Errorf("--output: %q: expected table or json", format))
	}
	if f, ok := o.Out.(*os.File); ok && !o.JSON {
		o.Redraw = daemon.IsTerminal(f)
		o.Colour = o.Redraw && os.Getenv("NO_COLOR") == ""
	}
	if f, ok := o.Err.(*os.File); ok {
		o.Person = daemon.IsTerminal(f)
	}
	return terminal.NewScreen(o), nil
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// isPerson reports whether a person types what is read.
func isPerson(in io.Reader) bool {
	f, ok := in.(*os.File)
	return ok && daemon.IsTerminal(f)
}
