package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/spool"
)

func newLetterShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Print a dead letter with all that is known",
		Example: `  reporterd deadletter show 000000042000-0007-0003
  reporterd deadletter show 000000042000-0007-0003 --reveal-user-keys`,
		Args:              oneArgument("the id of a dead letter"),
		ValidArgsFunction: completeLetters,
		RunE: func(cmd *cobra.Command, args []string) error {
			reveal, _ := cmd.Flags().GetBool("reveal-user-keys")
			return withLetters(cmd, reveal, func(ctx context.Context, s *terminal.Screen, l letters) error {
				d, err := l.one(ctx, args[0])
				if isUnknown(err) {
					return misuse(fmt.Errorf("%q: %w", args[0], err))
				}
				if err != nil {
					return err
				}
				if s.JSON() {
					return s.Object(d)
				}
				showLetter(s, &d)
				return nil
			})
		},
	}
	addLetters(cmd)
	cmd.Flags().Bool("reveal-user-keys", false, "print the user key, which is a secret; reads the directory itself")
	addOutput(cmd)
	return cmd
}

func showLetter(s *terminal.Screen, d *spool.DeadLetter) {
	answer := "none: it was not sent"
	if d.Answer.Status != 0 {
		answer = strings.TrimSpace(fmt.Sprintf("%d %s", d.Answer.Status, terminal.Clean(d.Answer.Code)))
	}
	rows := [][2]string{
		{"id", d.ID}, {"service", d.ServiceID}, {"application", application(d.AppID, d.UserKey)},
		{"usage", usageText(d.Usage)}, {"events", strconv.FormatUint(d.Events, 10)}, {"timestamp", terminal.Time(d.Timestamp)},
		{"reason", d.Reason.Code}, {"message", d.Reason.Message}, {"answer", answer},
		{"attempts", strconv.Itoa(d.Attempts)}, {"dead since", terminal.Time(d.CreatedAt)},
	}
	if o := d.Original; o != nil {
		rows = append(rows, [2]string{"subject", o.Subject}, [2]string{"payload", o.Payload})
	}
	s.Fields(rows...)
}
