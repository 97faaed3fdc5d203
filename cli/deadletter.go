package cli

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/spool"
)

// letterPage is how many dead letters are read or changed at once.
const letterPage = 500

func newDeadLetter() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deadletter",
		Short: "Work on what the backend will never take",
		Long: `Works on dead letters: transactions that the backend refused for good. While a
daemon uses the directory, its admin API is asked; otherwise the directory
itself is read, and opened and locked when something changes.

User keys are secrets and print as [redacted].`,
		Args: noArguments,
		RunE: showHelp,
	}
	cmd.AddCommand(newLetterList(), newLetterShow(), newRequeue(), newDrop(), newExport())
	return cmd
}

// addLetters defines the options that all commands on dead letters share.
func addLetters(cmd *cobra.Command) {
	addDaemon(cmd)
}

// addFilters defines the options that choose dead letters.
func addFilters(cmd *cobra.Command) {
	cmd.Flags().String("service", "", "only those of this service `id`")
	cmd.Flags().String("reason", "", "only those with this reason `code`")
	cmd.Flags().String("since", "", "only those made since this `time` (RFC 3339), or so long ago (90m, 7d)")
	cmd.Flags().String("older-than", "", "only those made before this `time`, or so long ago")
}

// filters reads them. Without an upper bound only what is dead by now is meant, so that letters that die again
// while a command goes on are not met again.
func filters(cmd *cobra.Command) (q console.DeadLetterQuery, filtered bool, err error) {
	now := time.Now()
	word := func(name string) string { text, _ := cmd.Flags().GetString(name); return text }
	q = console.DeadLetterQuery{ServiceID: word("service"), Reason: word("reason"), Until: now, Limit: letterPage}
	for _, name := range []string{"since", "older-than"} {
		text := word(name)
		if text == "" {
			continue
		}
		at, err := pastTime("--"+name, text, now, time.UTC)
		if err != nil {
			return q, false, err
		}
		if filtered = true; name == "since" {
			q.Since = at
		} else {
			q.Until = at
		}
	}
	return q, filtered || q.ServiceID != "" || q.Reason != "", nil
}

// withLetters wraps the body of a command on dead letters: it ends with Ctrl-C.
func withLetters(cmd *cobra.Command, reveal bool, do func(ctx context.Context, s *terminal.Screen, l letters) error) error {
	return run(cmd, func(ctx context.Context, s *terminal.Screen) error {
		l, err := openLetters(ctx, cmd, reveal)
		if err != nil {
			return err
		}
		err = do(ctx, s, l)
		return errors.Join(err, l.close())
	})
}

// each goes through the letters that are chosen, page by page: those named by ids, or those of a query.
func each(ctx context.Context, l letters, q console.DeadLetterQuery, ids []string) iter.Seq2[spool.DeadLetter, error] {
	return func(yield func(spool.DeadLetter, error) bool) {
		for _, id := range ids {
			if d, err := l.one(ctx, id); !yield(d, err) || err != nil {
				return
			}
		}
		for more := len(ids) == 0; more; {
			page, next, err := l.page(ctx, q)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(spool.DeadLetter{}, err)
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			q.Cursor, more = next, next != ""
		}
	}
}
