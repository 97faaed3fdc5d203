package cli

import (
	"context"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/spool"
)

func newLetterList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List dead letters",
		Example: `  reporterd deadletter ls
  reporterd deadletter ls --service 2555417 --reason application_not_found --since 24h
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
				return listLetters(s, each(ctx, l, q, nil), most)
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

func listLetters(s *terminal.Screen, all iter.Seq2[spool.DeadLetter, error], most int) error {
	list := listOfLetters(s)
	defer list.End()
	n := 0
	for d, err := range all {
		if err == nil {
			err = addLetter(list, &d)
		}
		if err != nil {
			return err
		}
		if n++; n == most {
			return nil
		}
	}
	return nil
}
