package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/console/client"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/spool"
)

// maxErrors is how many failures are printed one by one.
const maxErrors = 20

func addBulk(cmd *cobra.Command) {
	addLetters(cmd)
	addFilters(cmd)
	cmd.Flags().Bool("all", false, "all of them: needed when there are no ids and no filter")
	cmd.Flags().Bool("dry-run", false, "only print which they are")
	cmd.Flags().BoolP("yes", "y", false, "do not ask")
	addOutput(cmd)
}

// bulk is one requeue or drop of many dead letters.
type bulk struct {
	do      partition.Action
	ids     []string
	query   console.DeadLetterQuery
	dryRun  bool
	restamp bool
	cmd     *cobra.Command
}

// runBulk reads the command line, and refuses one that does not say what it means.
func runBulk(cmd *cobra.Command, args []string, do partition.Action) error {
	q, filtered, err := filters(cmd)
	if err != nil {
		return err
	}
	flag := func(name string) bool { on, _ := cmd.Flags().GetBool(name); return on }
	switch all := flag("all"); {
	case len(args) > 0 && (filtered || all):
		return misuse(errors.New("ids cannot be given together with a filter or --all"))
	case filtered && all:
		return misuse(errors.New("--all cannot be given together with a filter"))
	case len(args) == 0 && !filtered && !all:
		return misuse(fmt.Errorf("name ids or a filter (--service, --reason, --since, --older-than), or say --all"))
	}
	b := bulk{
		do: do, ids: args, query: q, dryRun: flag("dry-run"), restamp: do == partition.Requeue && flag("restamp"),
		cmd: cmd,
	}
	return withLetters(cmd, false, func(ctx context.Context, s *terminal.Screen, l letters) error { return b.run(ctx, s, l) })
}

// run looks first, asks, and then does it page by page.
func (b *bulk) run(ctx context.Context, s *terminal.Screen, l letters) error {
	if b.dryRun {
		return b.preview(ctx, s, l)
	}
	found, events := len(b.ids), uint64(0)
	if len(b.ids) == 0 {
		for d, err := range each(ctx, l, b.query, nil) {
			if err != nil {
				return err
			}
			found, events = found+1, events+d.Events
		}
	}
	if found == 0 {
		if err := checkNames(ctx, l.names, b.query.ServiceID, b.query.Reason); err != nil {
			return err
		}
		return b.report(ctx, s, l, &console.DeadLetterOutcome{})
	}
	question := fmt.Sprintf("%s %s", b.do, count(found, "dead letter"))
	if events > 0 {
		question += " with " + count(int(events), "event")
	}
	if err := confirm(b.cmd, s, question+"?"); err != nil {
		return err
	}
	sum, err := b.pages(ctx, s, l, found)
	if errors.Is(err, context.Canceled) {
		err = failed(fmt.Errorf("interrupted after %d of %d; run the command again for the rest", sum.Letters, found))
	}
	return errors.Join(err, b.report(ctx, s, l, sum))
}

// preview prints what would be done.
func (b *bulk) preview(ctx context.Context, s *terminal.Screen, l letters) error {
	list := listOfLetters(s)
	n, events := 0, uint64(0)
	for d, err := range each(ctx, l, b.query, b.ids) {
		if err != nil {
			return err
		}
		if err := addLetter(list, &d); err != nil {
			return err
		}
		n, events = n+1, events+d.Events
	}
	list.End()
	if !s.JSON() {
		s.Printf("would %s %s with %s\n", b.do, count(n, "dead letter"), count(int(events), "event"))
	}
	return nil
}

// pages does it, and adds up what became of it.
func (b *bulk) pages(ctx context.Context, s *terminal.Screen, l letters, total int) (*console.DeadLetterOutcome, error) {
	sum := &console.DeadLetterOutcome{}
	one := func(o console.DeadLetterOrder) (next string, err error) {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		o.Restamp = b.restamp
		out, err := l.order(ctx, b.do, o)
		sum.Letters, sum.Events = sum.Letters+out.Letters, sum.Events+out.Events
		sum.IDs, sum.Errors = append(sum.IDs, out.IDs...), append(sum.Errors, out.Errors...)
		s.Progress(string(b.do), int64(min(sum.Letters, total)), int64(total))
		return out.Next, err
	}
	for ids := range slices.Chunk(b.ids, letterPage) {
		if _, err := one(console.DeadLetterOrder{IDs: ids}); err != nil {
			return sum, err
		}
	}
	for q, more := b.query, len(b.ids) == 0; more; more = q.Cursor != "" {
		next, err := one(console.DeadLetterOrder{Query: q})
		if err != nil {
			return sum, err
		}
		q.Cursor = next
	}
	return sum, nil
}

// report says what was done, also when not all of it was.
func (b *bulk) report(ctx context.Context, s *terminal.Screen, l letters, sum *console.DeadLetterOutcome) error {
	if s.JSON() {
		if err := s.Object(struct {
			Action  partition.Action `json:"action"`
			Letters int              `json:"letters"`
			Events  uint64           `json:"events"`
			IDs     []string         `json:"ids"`
			Errors  []string         `json:"errors"`
		}{b.do, sum.Letters, sum.Events, append([]string{}, sum.IDs...), append([]string{}, sum.Errors...)}); err != nil {
			return err
		}
	} else {
		s.Printf("%s: %s with %s\n", b.do, count(sum.Letters, "dead letter"), count(int(sum.Events), "event"))
	}
	if len(sum.Errors) == 0 {
		return nil
	}
	for _, line := range sum.Errors[:min(len(sum.Errors), maxErrors)] {
		s.Tell("%s\n", line)
	}
	err := fmt.Errorf("%s not done", count(len(sum.Errors), "dead letter"))
	if b.unknown(ctx, l, sum) {
		return misuse(err)
	}
	return failed(err)
}

// unknown reports whether an id that was named is none of a dead letter, and was none before.
func (b *bulk) unknown(ctx context.Context, l letters, sum *console.DeadLetterOutcome) bool {
	for _, id := range b.ids {
		if slices.Contains(sum.IDs, id) {
			continue
		}
		if _, err := l.one(ctx, id); isUnknown(err) {
			return true
		}
	}
	return false
}

// isUnknown reports whether an error says that there is no dead letter of an id.
func isUnknown(err error) bool {
	var refused *client.Refusal
	return errors.Is(err, spool.ErrUnknownLetter) || errors.As(err, &refused) && refused.Status == http.StatusNotFound
}
