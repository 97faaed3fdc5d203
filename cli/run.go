package cli

import (
	"context"
	"errors"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console/client"
	"github.com/reporterd/reporterd/internal/lifecycle"
)

// run gives the body of a command a screen, and a context that ends with Ctrl-C. Its errors get the exit status that they
// deserve: see statusOf.
func run(cmd *cobra.Command, body func(ctx context.Context, s *terminal.Screen) error) error {
	s, err := newScreen(cmd)
	if err != nil {
		return err
	}
	ctx, release := lifecycle.UntilSignal(cmd.Context())
	defer release()
	err = body(ctx, s)
	s.Clear()
	return withStatus(err)
}

// errInterrupted is the error of a command that Ctrl-C ended, where that says nothing about what was done.
var errInterrupted = errors.New("interrupted")

// withStatus gives an error its exit status, unless it has one. What the daemon refuses as unknown or malformed was named on the
// command line.
func withStatus(err error) error {
	var known *failure
	var refused *client.Refusal
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, context.Canceled):
		return failed(errInterrupted)
	case errors.As(err, &refused) && (refused.Status == http.StatusNotFound || refused.Status == http.StatusBadRequest):
		return misuse(err)
	}
	return failed(err)
}
