package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/reporterd/reporterd/console"
)

// checkNames refuses a service and a reason that do not exist: a mistyped filter would look like one that chooses nothing. Call
// it when a filter has chosen nothing. An empty name is none, and where no names are known none is refused.
func checkNames(ctx context.Context, names func(context.Context) (console.Names, error), service, reason string) error {
	if service == "" && reason == "" {
		return nil
	}
	n, err := names(ctx)
	if err != nil {
		return err
	}
	if err := checkName("--service", service, n.Services); err != nil {
		return err
	}
	return checkName("--reason", reason, n.Reasons)
}

func checkName(option, name string, known []string) error {
	if name == "" || len(known) == 0 || slices.Contains(known, name) {
		return nil
	}
	hint := "; expected one of " + some(known)
	if meant := nearest(name, known); len(meant) == 1 {
		hint = didYouMean(meant)
	}
	return misuse(fmt.Errorf("%s: %q: unknown%s", option, name, hint))
}
