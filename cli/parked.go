package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/console/client"
)

// parkedPage is how many parked reports are asked for at once: each may hold a thousand transactions.
const parkedPage = 50

func newParked() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "parked",
		Short: "Decide about reports whose outcome is unknown",
		Long: `Works on parked reports: they were sent, no answer came, and 3scale may or may
not have counted them. With sender.on_ambiguous: park, and after a restore from
a backup, such reports wait until you decide:

  resend    3scale has not counted it: send it again
  counted   3scale has counted it: book it as delivered
  bury      make dead letters of it

reporterd reconcile tells from 3scale's counts what became of a report, and
reporterd reconcile --resolve decides by that.`,
		Args: noArguments,
		RunE: showHelp,
	}
	cmd.AddCommand(newParkedList(), newParkedShow(), newParkedResend(), newParkedCounted(), newParkedBury())
	return cmd
}

// eachParked goes through the parked reports of a daemon, page by page.
func eachParked(ctx context.Context, daemon *client.Client) iter.Seq2[console.Parked, error] {
	return func(yield func(console.Parked, error) bool) {
		for cursor, more := "", true; more; more = cursor != "" {
			page, next, err := daemon.Parked(ctx, cursor, parkedPage)
			if err != nil {
				yield(console.Parked{}, err)
				return
			}
			for _, p := range page {
				if !yield(p, nil) {
					return
				}
			}
			cursor = next
		}
	}
}

// chosenParked are the parked reports of a service, or of all where it is empty, that were attempted last before a moment, where
// it is not zero.
func chosenParked(ctx context.Context, daemon *client.Client, service string, before time.Time) iter.Seq2[console.Parked, error] {
	return func(yield func(console.Parked, error) bool) {
		for p, err := range eachParked(ctx, daemon) {
			switch {
			case err != nil:
			case service != "" && p.ServiceID != service, !before.IsZero() && !p.LastAttempt.Before(before):
				continue
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// namesOf names the applications in a report, for a table: the first, and how many more there are.
func namesOf(p *console.Parked) string {
	names := make(map[string]bool)
	for _, t := range p.Transactions {
		names[cmp.Or(t.AppID, t.UserKey)] = true
	}
	if len(p.Transactions) == 0 {
		return ""
	}
	first := cmp.Or(p.Transactions[0].AppID, p.Transactions[0].UserKey)
	if len(names) == 1 {
		return first
	}
	return fmt.Sprintf("%s and %d more", first, len(names)-1)
}

// newDecision makes a command that decides about parked reports.
func newDecision(fate, short, long, example string) *cobra.Command {
	cmd := &cobra.Command{
		Use: fate + " [ID]...", Short: short, Example: example,
		Long: long + `

Name reports by their ids, or choose them with --service, --older-than or --all.
It asks before it decides, unless --yes is given. A report is decided about
once.`,
		ValidArgsFunction: completeParked,
	}
	cmd.RunE = operating(func(ctx context.Context, s *terminal.Screen, daemon *client.Client, cmd *cobra.Command, ids []string) error {
		return decide(ctx, s, daemon, cmd, fate, ids)
	})
	addDaemon(cmd)
	cmd.Flags().String("service", "", "those of this service `id`")
	cmd.Flags().String("older-than", "", "those attempted last before this `time`, or so long ago (90m, 7d)")
	cmd.Flags().Bool("all", false, "all of them: needed when there are no ids and no filter")
	cmd.Flags().BoolP("yes", "y", false, "do not ask")
	addOutput(cmd)
	return cmd
}

// decide reads which reports are meant, asks, and decides about one after the other.
func decide(ctx context.Context, s *terminal.Screen, daemon *client.Client, cmd *cobra.Command, fate string, ids []string) error {
	chosen, err := meant(ctx, s, daemon, cmd, ids)
	if err != nil {
		return err
	}
	events := uint64(0)
	for i := range chosen {
		events += chosen[i].Events
	}
	if len(chosen) > 0 {
		question := fmt.Sprintf("%s %s with %s?", fate, count(len(chosen), "parked report"), count(int(events), "event"))
		if err := confirm(cmd, s, question); err != nil {
			return err
		}
	}
	for i, p := range chosen {
		s.Progress(fate, int64(i), int64(len(chosen)))
		err := daemon.Settle(ctx, p.ID, fate)
		if errors.Is(err, context.Canceled) {
			return failed(fmt.Errorf("interrupted after %d of %d; run the command again for the rest", i, len(chosen)))
		}
		if err != nil {
			return fmt.Errorf("report %s: %w", p.ID, err)
		}
		if s.JSON() {
			if err := s.Object(map[string]any{"id": p.ID, "fate": fate, "events": p.Events}); err != nil {
				return err
			}
		}
	}
	if !s.JSON() {
		s.Printf("%s: %s with %s\n", fate, count(len(chosen), "parked report"), count(int(events), "event"))
	}
	return nil
}

// meant are the reports that the command line chooses.
func meant(ctx context.Context, s *terminal.Screen, daemon *client.Client, cmd *cobra.Command, ids []string) (chosen []console.Parked, err error) {
	service, _ := cmd.Flags().GetString("service")
	all, _ := cmd.Flags().GetBool("all")
	before, filtered, err := olderThan(cmd)
	if err != nil {
		return nil, err
	}
	filtered = filtered || service != ""
	switch {
	case len(ids) > 0 && (filtered || all):
		return nil, misuse(errors.New("ids cannot be given together with a filter or --all"))
	case filtered && all:
		return nil, misuse(errors.New("--all cannot be given together with a filter"))
	case len(ids) == 0 && !filtered && !all:
		return nil, misuse(errors.New("name ids or a filter (--service, --older-than), or say --all"))
	}
	for _, id := range ids {
		p, err := daemon.ParkedReport(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", id, err)
		}
		chosen = append(chosen, p)
	}
	if len(ids) > 0 {
		return chosen, nil
	}
	s.Note("looking…")
	for p, err := range chosenParked(ctx, daemon, service, before) {
		if err != nil {
			return nil, err
		}
		p.Transactions = nil // they are not printed
		chosen = append(chosen, p)
	}
	if len(chosen) == 0 {
		return nil, checkNames(ctx, daemon.Names, service, "")
	}
	return chosen, nil
}

// confirm asks a person before something is done. Where there is none, the command has to say --yes.
func confirm(cmd *cobra.Command, s *terminal.Screen, question string) error {
	if yes, _ := cmd.Flags().GetBool("yes"); yes {
		return nil
	}
	if !isPerson(cmd.InOrStdin()) || !s.Person() {
		return misuse(fmt.Errorf("%s expected --yes, since this is no terminal that could be asked", question))
	}
	s.Tell("%s [y/N] ", question)
	answer, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if word := strings.ToLower(strings.TrimSpace(answer)); word != "y" && word != "yes" {
		return failed(errors.New("nothing was done"))
	}
	return nil
}
