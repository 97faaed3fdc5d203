package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console/client"
)

func newParkedList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List parked reports",
		Example: `  reporterd parked ls
  reporterd parked ls --service 2555417 --older-than 24h
  reporterd parked ls --output json | jq -r .id`,
		Args: noArguments,
		RunE: operating(listParked),
	}
	addDaemon(cmd)
	cmd.Flags().String("service", "", "only those of this service `id`")
	cmd.Flags().String("older-than", "", "only those attempted last before this `time`, or so long ago (90m, 7d)")
	addOutput(cmd)
	return cmd
}

func listParked(ctx context.Context, s *terminal.Screen, daemon *client.Client, cmd *cobra.Command, _ []string) error {
	service, _ := cmd.Flags().GetString("service")
	before, _, err := olderThan(cmd)
	if err != nil {
		return err
	}
	list := s.List("ID", "SERVICE", "EVENTS", "LAST ATTEMPT", "APPLICATIONS")
	defer list.End()
	for p, err := range chosenParked(ctx, daemon, service, before) {
		if err == nil {
			err = list.Add(p, p.ID, p.ServiceID, p.Events, p.LastAttempt, namesOf(&p))
		}
		if err != nil {
			return err
		}
	}
	if list.Rows() > 0 {
		return nil
	}
	if err := checkNames(ctx, daemon.Names, service, ""); err != nil {
		return err
	}
	s.None("parked reports")
	return nil
}

// olderThan reads --older-than; the zero time: it is not given.
func olderThan(cmd *cobra.Command) (before time.Time, given bool, err error) {
	text, _ := cmd.Flags().GetString("older-than")
	if text == "" {
		return before, false, nil
	}
	before, err = pastTime("--older-than", text, time.Now(), time.UTC)
	return before, true, err
}
