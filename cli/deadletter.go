package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/internal/lifecycle"
	"github.com/reporterd/reporterd/internal/timespec"
	"github.com/reporterd/reporterd/spool"
)

// letterPage is how many dead letters are read or changed at once.
const letterPage = 500

func newDeadLetter() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deadletter",
		Short: "Work on what the backend will never take",
		Long: `Works on dead letters: transactions that the backend refused for good. While a
daemon uses the directory, its admin API is asked; otherwise the directory itself is
read, and opened and locked when something changes.

User keys are secrets and print as [redacted].`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLetterList(), newLetterShow(), newRequeue(), newDrop(), newExport())
	return cmd
}

// addLetters defines the options that all commands on dead letters share.
func addLetters(cmd *cobra.Command) {
	addDirectory(cmd)
	cmd.Flags().String("admin-url", "", "admin listener of the daemon, as `URL`; default: the one that uses the directory")
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
		at, parseErr := pastTime(text, now)
		if parseErr != nil {
			return q, false, misuse(fmt.Errorf("--%s: %q: expected a time (RFC 3339) or a duration (90m, 7d)", name, text))
		}
		if filtered = true; name == "since" {
			q.Since = at
		} else {
			q.Until = at
		}
	}
	return q, filtered || q.ServiceID != "" || q.Reason != "", nil
}

// pastTime reads a time, or how long ago it was.
func pastTime(text string, now time.Time) (time.Time, error) {
	return timespec.At(text, now, time.UTC)
}

// withLetters wraps the body of a command on dead letters: it ends with Ctrl-C.
func withLetters(cmd *cobra.Command, reveal bool, do func(ctx context.Context, s *terminal.Screen, l letters) error) (err error) {
	s, err := newScreen(cmd)
	if err != nil {
		return err
	}
	ctx, release := lifecycle.UntilSignal(cmd.Context())
	defer release()
	l, err := openLetters(ctx, cmd, reveal)
	if err != nil {
		return err
	}
	err = do(ctx, s, l)
	s.Clear()
	var known *failure
	switch closed := l.close(); {
	case errors.As(err, &known):
		return err
	case errors.Is(err, context.Canceled):
		return failed(errors.New("interrupted: what was done is done, and can be gone on with"))
	case err != nil:
		return failed(err)
	case closed != nil:
		return failed(closed)
	}
	return nil
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
