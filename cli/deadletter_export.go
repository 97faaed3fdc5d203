package cli

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/internal/spreadsheet"
	"github.com/reporterd/reporterd/spool"
)

func newExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [ID]...",
		Short: "Write dead letters as NDJSON or CSV",
		Long: `Writes dead letters, one JSON object a line or one CSV row each, with usage as
JSON in its column. Without ids and filters it writes all. --file makes a file
that only you can read, and refuses one that exists.`,
		Example: `  reporterd deadletter export --file dead.ndjson
  reporterd deadletter export --format csv --reason expired > expired.csv`,
		ValidArgsFunction: completeLetters,
		RunE: func(cmd *cobra.Command, args []string) error {
			format, _ := cmd.Flags().GetString("format")
			if format != "ndjson" && format != "csv" {
				return misuse(fmt.Errorf("--format: %q: expected ndjson or csv", format))
			}
			q, filtered, err := filters(cmd)
			if err != nil {
				return err
			}
			if filtered && len(args) > 0 {
				return misuse(errors.New("ids cannot be given together with a filter"))
			}
			reveal, _ := cmd.Flags().GetBool("reveal-user-keys")
			name, _ := cmd.Flags().GetString("file")
			return withLetters(cmd, reveal, func(ctx context.Context, s *terminal.Screen, l letters) error {
				return into(name, s.Out(), func(w io.Writer) error {
					write, finish := writer(w, format)
					n := 0
					for d, err := range each(ctx, l, q, args) {
						if err == nil {
							err = write(&d)
						}
						if err != nil {
							return err
						}
						n++
					}
					if n == 0 {
						if err := checkNames(ctx, l.names, q.ServiceID, q.Reason); err != nil {
							return err
						}
					}
					return finish()
				})
			})
		},
	}
	addLetters(cmd)
	addFilters(cmd)
	cmd.Flags().String("format", "ndjson", "`ndjson` or csv")
	cmd.Flags().String("file", "", "`file` to write; default: standard output")
	cmd.Flags().Bool("reveal-user-keys", false, "write user keys, which are secrets; reads the directory itself")
	return cmd
}

// into calls write with a new file, or with standard output when name is empty. A file that could not be
// finished is removed.
func into(name string, stdout io.Writer, write func(io.Writer) error) error {
	if name == "" {
		return buffered(stdout, write)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(buffered(f, write), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

func buffered(w io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriter(w)
	return errors.Join(write(b), b.Flush())
}

// letterColumns are the columns of the CSV; they are API.
var letterColumns = []string{
	"id", "service_id", "app_id", "user_key", "usage", "events", "timestamp", "response_code",
	"reason_code", "reason_message", "answer_status", "attempts", "created_at",
}

// writer returns how a letter is written, and how the whole is finished.
func writer(w io.Writer, format string) (write func(*spool.DeadLetter) error, finish func() error) {
	if format == "ndjson" {
		encoder := json.NewEncoder(w)
		return func(d *spool.DeadLetter) error { return encoder.Encode(d) }, func() error { return nil }
	}
	table := csv.NewWriter(w)
	_ = table.Write(letterColumns) // kept, and returned by finish
	write = func(d *spool.DeadLetter) error {
		usage, err := json.Marshal(d.Usage)
		if err != nil {
			return err
		}
		return table.Write([]string{
			d.ID, spreadsheet.Text(d.ServiceID), spreadsheet.Text(d.AppID), spreadsheet.Text(d.UserKey), string(usage), strconv.FormatUint(d.Events, 10), d.Timestamp.Format(time.RFC3339),
			strconv.Itoa(d.ResponseCode), spreadsheet.Text(d.Reason.Code), spreadsheet.Text(d.Reason.Message), strconv.Itoa(d.Answer.Status), strconv.Itoa(d.Attempts),
			d.CreatedAt.Format(time.RFC3339),
		})
	}
	return write, func() error { table.Flush(); return table.Error() }
}
