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
		Args: oneArgument("the id of a dead letter"),
		RunE: func(cmd *cobra.Command, args []string) error {
			reveal, _ := cmd.Flags().GetBool("reveal-user-keys")
			return withLetters(cmd, reveal, func(ctx context.Context, s *screen, l letters) error {
				d, err := l.one(ctx, args[0])
				if err != nil {
					return err
				}
				if s.json {
					return s.object(d)
				}
				s.showLetter(&d)
				return nil
			})
		},
	}
	addLetters(cmd)
	cmd.Flags().Bool("reveal-user-keys", false, "print the user key, which is a secret; reads the directory itself")
	addOutput(cmd)
	return cmd
}

func (s *screen) showLetter(d *spool.DeadLetter) {
	answer := "none: it was not sent"
	if d.Answer.Status != 0 {
		answer = strings.TrimSpace(fmt.Sprintf("%d %s", d.Answer.Status, terminal.Clean(d.Answer.Code)))
	}
	for _, row := range [][2]string{
		{"id", d.ID}, {"service", terminal.Clean(d.ServiceID)}, {"application", application(d.AppID, d.UserKey)},
		{"usage", usageText(d.Usage)}, {"events", strconv.FormatUint(d.Events, 10)}, {"timestamp", terminal.Time(d.Timestamp)},
		{"reason", terminal.Clean(d.Reason.Code)}, {"message", terminal.Clean(d.Reason.Message)}, {"answer", answer},
		{"attempts", strconv.Itoa(d.Attempts)}, {"dead since", terminal.Time(d.CreatedAt)},
	} {
		s.printf("%-12s %s\n", row[0], row[1])
	}
	if o := d.Original; o != nil {
		s.printf("%-12s %s\n%-12s %s\n", "subject", terminal.Clean(o.Subject), "payload", terminal.Clean(o.Payload))
	}
}
