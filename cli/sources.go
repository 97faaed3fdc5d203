package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console/client"
	"github.com/reporterd/reporterd/console/source"
)

func newSources() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sources",
		Short: "List, test and read the sources that dashboards read",
		Long: `Works on sources: questions with a name, which the daemon asks again every so
often, of the ledger, of 3scale, or of both, and whose last good answer it
serves as JSON, NDJSON and CSV to whom shows the source's token. They stand in
sources.yaml, beside the configuration.`,
		Args: noArguments,
		RunE: showHelp,
	}
	cmd.AddCommand(newSourcesList(), newSourcesShow(), newSourcesGet(), newSourcesTest(), newSourcesCheck())
	return cmd
}

// completeSources offers the names of sources, with what they ask.
func completeSources(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return asked(func(ctx context.Context, daemon *client.Client) (names []string, err error) {
		l, err := daemon.Sources(ctx)
		for _, s := range l.Sources {
			names = append(names, cobra.CompletionWithDesc(s.Name, s.String()))
		}
		return names, err
	})(cmd, args, typed)
}

const aSource = "the name of a source; reporterd sources ls lists them"

func newSourcesList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the sources, with the age of their answers",
		Long: `Lists the sources in the order of their file: what each asks of whom, how many
rows its last good answer has and how old that is. reporterd sources show says
why one is stale.`,
		Example: `  reporterd sources ls
  reporterd sources ls --output json | jq 'select(.stale)'`,
		Args: noArguments,
		RunE: operating(listSources),
	}
	addDaemon(cmd)
	addOutput(cmd)
	return cmd
}

func listSources(ctx context.Context, s *terminal.Screen, daemon *client.Client, _ *cobra.Command, _ []string) error {
	all, err := daemon.Sources(ctx)
	if err != nil {
		return err
	}
	list := s.List("NAME", "STATE", "AGE", "ROWS", "FROM", "ASKS")
	defer list.End()
	for _, one := range all.Sources {
		age := "-"
		if one.AsOf != "" {
			age = (time.Duration(one.AgeSeconds) * time.Second).String()
		}
		if err := list.Add(one, one.Name, sourceState(&one), age, one.Rows, string(one.From), one.String()); err != nil {
			return err
		}
	}
	return nil
}

func sourceState(s *source.State) terminal.Cell {
	if s.Stale {
		return terminal.Cell{Text: "stale", Colour: terminal.Yellow}
	}
	return terminal.Cell{Text: "fresh", Colour: terminal.Green}
}

func newSourcesShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Print a source, and what its dates mean now",
		Long: `Prints what a source asks, what its dates mean now, the columns of its answer,
and the paths to read it at, on the admin listener and on reader.listen.`,
		Example: `  reporterd sources show orders-by-day
  reporterd sources show orders-by-day --output json | jq .means_since`,
		Args:              oneArgument(aSource),
		ValidArgsFunction: completeSources,
		RunE: operating(func(ctx context.Context, s *terminal.Screen, daemon *client.Client, _ *cobra.Command, args []string) error {
			one, err := daemon.Source(ctx, args[0])
			if err != nil {
				return fmt.Errorf("%q: %w", args[0], err)
			}
			if s.JSON() {
				return s.Object(one)
			}
			showSource(s, &one)
			return nil
		}),
	}
	addDaemon(cmd)
	addOutput(cmd)
	return cmd
}

func showSource(s *terminal.Screen, one *source.State) {
	rows := [][2]string{{"source", one.Name}, {"asks", one.String()}, {"from", string(one.From)}, {"refresh", (time.Duration(one.RefreshSeconds) * time.Second).String()}}
	for _, r := range [][2]string{
		{"now means", one.MeansPath}, {"since", one.MeansSince}, {"until", one.MeansUntil}, {"as of", one.AsOf}, {"asked again", one.Next}, {"stale", one.Reason},
	} {
		if r[1] != "" && r[1] != one.String() {
			rows = append(rows, r)
		}
	}
	token := "none: only operators can read it; reporterd token create makes one"
	if one.Token {
		token = "the one whose SHA-256 stands in the file"
	}
	rows = append(rows, [2]string{"rows", fmt.Sprint(one.Rows)}, [2]string{"token", token},
		[2]string{"read it at", "/sources/" + one.Name + ".json, .csv, .ndjson"})
	s.Fields(rows...)
	if len(one.Columns) == 0 {
		return
	}
	s.Printf("\n")
	table := s.Table("COLUMN", "TYPE")
	for _, c := range one.Columns {
		table.Row(c.Name, c.Type)
	}
	table.Flush()
}
