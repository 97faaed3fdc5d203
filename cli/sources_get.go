package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console/client"
	"github.com/reporterd/reporterd/console/source"
)

func newSourcesGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Print the last good answer of a source",
		Long: `Prints the answer that dashboards read, without asking again: a table, CSV, or
a JSON object for each row. A line on standard error says if it is stale.`,
		Example: `  reporterd sources get orders-by-day
  reporterd sources get orders-by-day --output csv > orders.csv
  reporterd sources get top-applications --output json | jq .value`,
		Args:              oneArgument(aSource),
		ValidArgsFunction: completeSources,
		RunE: func(cmd *cobra.Command, args []string) error {
			format, _ := cmd.Flags().GetString("output")
			if format == "csv" {
				_ = cmd.Flags().Set("output", "table") // the screen knows two
			}
			return operating(func(ctx context.Context, s *terminal.Screen, daemon *client.Client, _ *cobra.Command, args []string) error {
				return getSource(ctx, s, daemon, args[0], format)
			})(cmd, args)
		},
	}
	addDaemon(cmd)
	cmd.Flags().StringP("output", "o", "table", "`table` for people, csv, or json: one object a line")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "csv", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func getSource(ctx context.Context, s *terminal.Screen, daemon *client.Client, name, format string) error {
	one, err := daemon.Source(ctx, name)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	extension := "csv"
	if format == "json" {
		extension = "ndjson"
	}
	text, err := daemon.Answer(ctx, name, extension)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	if one.Stale {
		s.Tell("stale: as of %s, %v old: %s\n", one.AsOf, time.Duration(one.AgeSeconds)*time.Second, terminal.Clean(one.Reason))
	}
	if format != "table" {
		s.Clear()
		_, err = s.Out().Write(text)
		return err
	}
	return printCSV(s, text)
}

// printCSV prints CSV with a header as a table.
func printCSV(s *terminal.Screen, text []byte) error {
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(rows) == 0 {
		return err
	}
	table := s.Table(rows[0]...)
	for _, row := range rows[1:] {
		cells := make([]any, len(row))
		for i := range row {
			cells[i] = row[i]
		}
		table.Row(cells...)
	}
	table.Flush()
	return nil
}

func newSourcesTest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "Ask the question of a source now, and show the answer",
		Long: `Has the daemon ask now, and prints what the dates mean, how long it took, the
columns and the first rows. The answer that dashboards read stays as it is.

Exit status: 0 it was answered, 1 it was not, and why, 2 wrong usage of the
command line, or no source of this name.`,
		Example: `  reporterd sources test orders-by-day
  reporterd sources test orders-by-day --output json | jq .rows_in_all`,
		Args:              oneArgument(aSource),
		ValidArgsFunction: completeSources,
		RunE: operating(func(ctx context.Context, s *terminal.Screen, daemon *client.Client, _ *cobra.Command, args []string) error {
			t, err := daemon.TestSource(ctx, args[0])
			if err != nil {
				return fmt.Errorf("%q: %w", args[0], err)
			}
			if s.JSON() {
				return s.Object(t)
			}
			return showTested(s, &t)
		}),
	}
	addDaemon(cmd)
	addOutput(cmd)
	return cmd
}

func showTested(s *terminal.Screen, t *source.Tested) error {
	fields := [][2]string{
		{"source", t.Name}, {"path", t.Path}, {"since", t.Since}, {"until", t.Until}, {"took", fmt.Sprintf("%.3fs", t.Took)},
		{"rows", fmt.Sprintf("%d, the first %d here", t.Count, len(t.Rows))},
	}
	s.Fields(slices.DeleteFunc(fields, func(f [2]string) bool { return f[1] == "" })...)
	s.Printf("\n")
	headings := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		headings[i] = c.Name + ":" + c.Type
	}
	table := s.Table(headings...)
	for _, text := range t.Rows {
		var row map[string]json.RawMessage
		if err := json.Unmarshal(text, &row); err != nil {
			return err
		}
		cells := make([]any, len(t.Columns))
		for i, c := range t.Columns {
			cells[i] = plainCell(row[c.Name])
		}
		table.Row(cells...)
	}
	table.Flush()
	return nil
}

// plainCell is a value of JSON without quotes.
func plainCell(text json.RawMessage) string {
	var word string
	if json.Unmarshal(text, &word) == nil {
		return word
	}
	return string(text)
}

func newSourcesCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with the file of sources, by field",
		Long: `Reads the file of sources of the configuration, or the one of --file, and says
everything that is wrong with it: line, field, value, expectation; and what the
dates of each source mean now. Nothing is asked.`,
		Example: `  reporterd sources check --config reporterd.yaml
  reporterd sources check --file sources.yaml`,
		Args: noArguments,
		RunE: checkSources,
	}
	cmd.Flags().StringP("config", "c", "", "configuration `file` (also $REPORTERD_CONFIG; default /etc/reporterd/reporterd.yaml, if it exists)")
	cmd.Flags().String("file", "", "the `file` of sources; default: the configuration's")
	return cmd
}

func checkSources(cmd *cobra.Command, _ []string) error {
	file, _ := cmd.Flags().GetString("file")
	if file == "" {
		c, _, err := load(cmd, false)
		if err != nil {
			return unusable(err)
		}
		if file = c.SourcesFile(); file == "" {
			return misuse(fmt.Errorf("--file: expected a file of sources: there is no configuration beside which it could be"))
		}
	}
	list, err := source.Read(file)
	if err != nil {
		return unusable(err)
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	for _, s := range list {
		since, until := s.Meaning(time.Now())
		meaning := s.Query(time.Now())
		if !since.IsZero() {
			meaning = fmt.Sprintf("%s to %s", since.Format(time.RFC3339), until.Format(time.RFC3339))
		}
		fmt.Fprintf(out, "%s: %s, from %s %s\n", s.Name, s, s.From, meaning)
	}
	fmt.Fprintf(out, "%s: fine, %s\n", file, count(len(list), "source"))
	return out.Flush()
}
