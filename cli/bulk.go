package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon"
	"github.com/reporterd/reporterd/daemon/partition"
)

// maxErrors is how many failures are printed one by one.
const maxErrors = 20

func addErrand(cmd *cobra.Command) {
	addLetters(cmd)
	addFilters(cmd)
	cmd.Flags().Bool("all", false, "all of them: needed when there are no ids and no filter")
	cmd.Flags().Bool("dry-run", false, "only print which they are")
	cmd.Flags().BoolP("yes", "y", false, "do not ask")
	addOutput(cmd)
}

// errand is one requeue or drop.
type errand struct {
	do      partition.Action
	ids     []string
	query   console.DeadLetterQuery
	dryRun  bool
	restamp bool
	yes     bool
	in      io.Reader
}

// runErrand reads the command line, and refuses one that does not say what it means.
func runErrand(cmd *cobra.Command, args []string, do partition.Action) error {
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
		return misuse(fmt.Errorf("which? name ids, or a filter (--service, --reason, --since, --older-than), or say --all"))
	}
	e := errand{
		do: do, ids: args, query: q, dryRun: flag("dry-run"), restamp: do == partition.Requeue && flag("restamp"),
		yes: flag("yes"), in: cmd.InOrStdin(),
	}
	return withLetters(cmd, false, func(ctx context.Context, s *screen, l letters) error { return e.run(ctx, s, l) })
}

// run looks first, asks, and then does it page by page.
func (e *errand) run(ctx context.Context, s *screen, l letters) error {
	if e.dryRun {
		return e.preview(ctx, s, l)
	}
	found, events := len(e.ids), uint64(0)
	if len(e.ids) == 0 {
		for d, err := range each(ctx, l, e.query, nil) {
			if err != nil {
				return err
			}
			found, events = found+1, events+d.Events
		}
	}
	if found == 0 {
		return e.report(s, &console.DeadLetterOutcome{})
	}
	question := fmt.Sprintf("%s %s", e.do, count(found, "dead letter"))
	if events > 0 {
		question += " with " + count(int(events), "event")
	}
	if err := e.confirm(s, question+"?"); err != nil {
		return err
	}
	sum, err := e.pages(ctx, s, l, found)
	return errors.Join(err, e.report(s, sum))
}

// preview prints what would be done.
func (e *errand) preview(ctx context.Context, s *screen, l letters) error {
	table := s.letters()
	defer table.end()
	n, events := 0, uint64(0)
	for d, err := range each(ctx, l, e.query, e.ids) {
		if err != nil {
			return err
		}
		if err := table.add(&d); err != nil {
			return err
		}
		n, events = n+1, events+d.Events
	}
	table.end()
	if !s.json {
		s.printf("would %s %s with %s\n", e.do, count(n, "dead letter"), count(int(events), "event"))
	}
	return nil
}

// confirm asks a person. Where there is none, the command has to say --yes.
func (e *errand) confirm(s *screen, question string) error {
	if e.yes {
		return nil
	}
	f, ok := e.in.(*os.File)
	if !ok || !daemon.IsTerminal(f) || !s.person {
		return misuse(fmt.Errorf("%s nobody is here to ask: say --yes, or --dry-run to look first", question))
	}
	fmt.Fprintf(s.err, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(e.in).ReadString('\n')
	if word := strings.ToLower(strings.TrimSpace(answer)); word != "y" && word != "yes" {
		return failed(errors.New("nothing was done"))
	}
	return nil
}

// pages does it, and adds up what became of it.
func (e *errand) pages(ctx context.Context, s *screen, l letters, total int) (*console.DeadLetterOutcome, error) {
	sum := &console.DeadLetterOutcome{}
	one := func(o console.DeadLetterOrder) (next string, err error) {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		o.Restamp = e.restamp
		out, err := l.order(ctx, e.do, o)
		sum.Letters, sum.Events = sum.Letters+out.Letters, sum.Events+out.Events
		sum.IDs, sum.Errors = append(sum.IDs, out.IDs...), append(sum.Errors, out.Errors...)
		s.progress(string(e.do), int64(min(sum.Letters, total)), int64(total))
		return out.Next, err
	}
	for ids := range slices.Chunk(e.ids, letterPage) {
		if _, err := one(console.DeadLetterOrder{IDs: ids}); err != nil {
			return sum, err
		}
	}
	for q, more := e.query, len(e.ids) == 0; more; more = q.Cursor != "" {
		next, err := one(console.DeadLetterOrder{Query: q})
		if err != nil {
			return sum, err
		}
		q.Cursor = next
	}
	return sum, nil
}

// report says what was done, also when not all of it was.
func (e *errand) report(s *screen, sum *console.DeadLetterOutcome) error {
	if s.json {
		if err := s.object(struct {
			Action  partition.Action `json:"action"`
			Letters int              `json:"letters"`
			Events  uint64           `json:"events"`
			IDs     []string         `json:"ids"`
			Errors  []string         `json:"errors"`
		}{e.do, sum.Letters, sum.Events, append([]string{}, sum.IDs...), append([]string{}, sum.Errors...)}); err != nil {
			return err
		}
	} else {
		s.printf("%s: %s with %s\n", e.do, count(sum.Letters, "dead letter"), count(int(sum.Events), "event"))
	}
	if len(sum.Errors) == 0 {
		return nil
	}
	for _, line := range sum.Errors[:min(len(sum.Errors), maxErrors)] {
		fmt.Fprintln(s.err, line)
	}
	return failed(fmt.Errorf("%s not done", count(len(sum.Errors), "dead letter")))
}
