package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/console/client"
	"github.com/reporterd/reporterd/ledger/reconcile"
)

// resolveParked decides about the parked reports whose fate is known. The daemon takes each decision once.
func resolveParked(ctx context.Context, s *terminal.Screen, cmd *cobra.Command, daemon *client.Client, r *reconcile.Report) error {
	if daemon == nil {
		return misuse(errors.New("--resolve: expected a daemon that runs: it decides about its own reports"))
	}
	yes, _ := cmd.Flags().GetBool("yes")
	in := bufio.NewReader(cmd.InOrStdin())
	decided, all := 0, 0
	for p, err := range eachParked(ctx, daemon) {
		if err != nil {
			return err
		}
		all++
		fate, what := decision(r, p.ID)
		if fate == "" {
			continue
		}
		question := fmt.Sprintf("batch %s, service %s, %s: %s", p.ID, p.ServiceID, count(int(p.Events), "event"), what)
		if !yes {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s? [y/N] ", question)
			answer, _ := in.ReadString('\n')
			if word := strings.ToLower(strings.TrimSpace(answer)); word != "y" && word != "yes" {
				continue
			}
		}
		if err := daemon.Settle(ctx, p.ID, fate); err != nil {
			return failed(fmt.Errorf("batch %s: %w", p.ID, err))
		}
		decided++
		s.Printf("%s: done\n", question)
	}
	s.Printf("%s decided about, %d left\n", count(decided, "parked report"), all-decided)
	return nil
}

// decision is what to do about a parked report, and in words; empty where the counts do not tell, or may still change.
func decision(r *reconcile.Report, id string) (fate, what string) {
	for _, e := range r.Batches {
		if e.Batch != id {
			continue
		}
		switch {
		case e.Fate == reconcile.Landed || e.Fate == reconcile.Twice:
			return console.Counted, "3scale has counted it: book it as delivered"
		case e.Fate == reconcile.NotLanded && e.Final:
			return console.Resend, "3scale has not counted it, and will not: send it again"
		}
	}
	return "", ""
}
