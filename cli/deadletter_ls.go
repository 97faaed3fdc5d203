package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/spool"
)

func newLetterList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List dead letters",
		Example: `  reporterd deadletter ls
  reporterd deadletter ls --reason application_not_found --since 24h
  reporterd deadletter ls --output json | jq -r .app_id | sort | uniq -c`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, _, err := filters(cmd)
			if err != nil {
				return err
			}
			most, _ := cmd.Flags().GetInt("limit")
			if most < 0 {
				return misuse(fmt.Errorf("--limit: %d: expected how many, or 0 for all", most))
			}
			return withLetters(cmd, false, func(ctx context.Context, s *terminal.Screen, l letters) error {
				return listLetters(ctx, s, l, q, most)
			})
		},
	}
	addLetters(cmd)
	addFilters(cmd)
	cmd.Flags().Int("limit", 0, "stop after so `many`; 0: print all")
	addOutput(cmd)
	return cmd
}

// listOfLetters begins a listing of dead letters.
func listOfLetters(s *terminal.Screen) *terminal.List {
	return s.List("ID", "SINCE", "SERVICE", "APPLICATION", "EVENTS", "REASON")
}

func addLetter(list *terminal.List, d *spool.DeadLetter) error {
	return list.Add(d, d.ID, d.CreatedAt, d.ServiceID, application(d.AppID, d.UserKey), d.Events, d.Reason.Code)
}

func listLetters(ctx context.Context, s *terminal.Screen, l letters, q console.DeadLetterQuery, most int) error {
	list := listOfLetters(s)
	defer list.End()
	for d, err := range each(ctx, l, q, nil) {
		if err == nil {
			err = addLetter(list, &d)
		}
		if err != nil {
			return err
		}
		if list.Rows() == most {
			return nil
		}
	}
	if list.Rows() > 0 {
		return nil
	}
	if err := checkNames(ctx, l.names, q.ServiceID, q.Reason); err != nil {
		return err
	}
	s.None("dead letters")
	return nil
}
