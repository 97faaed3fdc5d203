package cli

import (
	"context"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

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
			return withLetters(cmd, false, func(ctx context.Context, s *screen, l letters) error {
				return s.listLetters(each(ctx, l, q, nil), most)
			})
		},
	}
	addLetters(cmd)
	addFilters(cmd)
	cmd.Flags().Int("limit", 0, "stop after so `many`; 0: print all")
	addOutput(cmd)
	return cmd
}

func (s *screen) listLetters(all iter.Seq2[spool.DeadLetter, error], most int) error {
	table := s.letters()
	defer table.end()
	n := 0
	for d, err := range all {
		if err != nil {
			return err
		}
		if err := table.add(&d); err != nil {
			return err
		}
		if n++; n == most {
			return nil
		}
	}
	return nil
}
