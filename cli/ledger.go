package cli

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/internal/spreadsheet"
)

// ledgerPage is how many rows are asked for at once.
const ledgerPage = 5000

func newLedger() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "Show usage out of the ledger: accepted, delivered, dead, pending",
		Long: `Shows what was accepted and what became of it, by service, application, metric
and hour, day or month of UTC, out of the ledger on the daemon's disk: also
while 3scale is away. While a daemon uses the directory, it is asked; otherwise
the ledger is read here.

All figures are usage in the metric's unit. PENDING is what is still to be
delivered; AMBIGUOUS was in reports whose outcome is unknown, and may have been
counted twice. DELIVERED is what 3scale accepted; of services with receipts,
what it counted. RECEIPTS names, of PENDING, what 3scale accepted and has not
counted yet (sent), and of DELIVERED what is in reports that it counted in part
(partial), more often than once (double), or of which that cannot be found out
(unconfirmed). reporterd usage shows what 3scale counted, and reporterd
reconcile compares the two.`,
		Example: `  reporterd ledger
  reporterd ledger --service 2555417 --app acme --since month
  reporterd ledger --group service --by month --output csv > usage.csv`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			format, _ := cmd.Flags().GetString("output")
			if format == "csv" {
				_ = cmd.Flags().Set("output", "table") // the screen knows two
			}
			return run(cmd, func(ctx context.Context, s *terminal.Screen) error {
				return showLedger(ctx, s, cmd, format == "csv")
			})
		},
	}
	addDaemon(cmd)
	set := cmd.Flags()
	set.String("service", "", "only this service `id`")
	set.String("app", "", "only this `application`, as reports name it")
	set.String("metric", "", "only this `metric`")
	set.String("since", "7d", "from this `time` on (2026-02-01, RFC 3339), or so long ago (24h, 7d)")
	set.String("until", "", "up to this `time`; default: now")
	set.String("by", "day", "`width` of a row: hour, day or month")
	set.StringSlice("group", []string{"service", "app", "metric"}, "`columns` of the rows, out of service, app and metric; the rest is summed up. none: a row for each time")
	set.Int("limit", 0, "stop after so `many` rows; 0: print all")
	set.StringP("output", "o", "table", "`table` for people, csv, or json: one object a line")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "csv", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("app", ledgerValues("app_id"))
	_ = cmd.RegisterFlagCompletionFunc("metric", ledgerValues("metric"))
	return cmd
}

// ledgerRow is a row of GET /api/v1/ledger.
type ledgerRow struct {
	Time      time.Time `json:"time"`
	ServiceID string    `json:"service_id,omitempty"`
	AppID     string    `json:"app_id,omitempty"`
	Metric    string    `json:"metric,omitempty"`
	Accepted  int64     `json:"accepted"`
	Delivered int64     `json:"delivered"`
	Ambiguous int64     `json:"ambiguous"`
	Dead      int64     `json:"dead"`
	Restamped int64     `json:"restamped"`
	Lost      int64     `json:"lost"`
	Pending   int64     `json:"pending"`

	Sent        int64 `json:"sent"`
	Partial     int64 `json:"partial"`
	Double      int64 `json:"double"`
	Unconfirmed int64 `json:"unconfirmed"`
}

// ledgerColumns are the names of columns, as options and the API name them.
var ledgerColumns = []struct{ option, parameter string }{{"service", "service_id"}, {"app", "app_id"}, {"metric", "metric"}}

// ledgerQuery reads the options as parameters of the API; columns are those of --group.
func ledgerQuery(cmd *cobra.Command, now time.Time) (q url.Values, columns []string, err error) {
	word := func(name string) string { text, _ := cmd.Flags().GetString(name); return text }
	q = url.Values{"limit": {strconv.Itoa(ledgerPage)}}
	for _, c := range ledgerColumns {
		if text := word(c.option); text != "" {
			q.Set(c.parameter, text)
		}
	}
	for _, name := range []string{"since", "until"} {
		if text := word(name); text != "" {
			at, err := pastTime("--"+name, text, now, time.UTC)
			if err != nil {
				return nil, nil, err
			}
			q.Set(name, at.UTC().Truncate(time.Hour).Format(time.RFC3339))
		}
	}
	q.Set("by", word("by"))
	if !slices.Contains([]string{"hour", "day", "month"}, word("by")) {
		return nil, nil, misuse(fmt.Errorf("--by: %q: expected hour, day or month", word("by")))
	}
	group, _ := cmd.Flags().GetStringSlice("group")
	for _, name := range group {
		i := slices.IndexFunc(ledgerColumns, func(c struct{ option, parameter string }) bool { return c.option == name })
		switch {
		case i >= 0:
			columns = append(columns, ledgerColumns[i].parameter)
		case name != "none":
			return nil, nil, misuse(fmt.Errorf("--group: %q: expected service, app, metric or none", name))
		}
	}
	q.Set("group", strings.Join(columns, ","))
	return q, columns, nil
}

func showLedger(ctx context.Context, s *terminal.Screen, cmd *cobra.Command, asCSV bool) error {
	q, columns, err := ledgerQuery(cmd, time.Now())
	if err != nil {
		return err
	}
	limit, _ := cmd.Flags().GetInt("limit")
	if limit < 0 {
		return misuse(fmt.Errorf("--limit: %d: expected how many, or 0 for all", limit))
	}
	book, err := openBook(ctx, cmd)
	if err != nil {
		return err
	}
	defer book.close()
	rows := &ledgerRows{columns: columns, by: q.Get("by")}
	missed, err := eachLedgerRow(ctx, book, q, func(page *ledgerAnswer) { rows.begin(s, asCSV, page.Receipts) }, func(r *ledgerRow) error {
		if limit > 0 && rows.n == limit {
			return errEnough
		}
		return rows.add(r)
	})
	if err := errors.Join(err, rows.end()); err != nil {
		return err
	}
	if missed {
		s.Tell("note: the ledger has missed something: its figures may be less than what happened\n")
	}
	if rows.n > 0 {
		return nil
	}
	if err := checkNames(ctx, book.names, q.Get("service_id"), ""); err != nil {
		return err
	}
	s.None("usage in this time")
	return nil
}

// errEnough ends a listing that has as many rows as were asked for.
var errEnough = errors.New("enough")

// eachLedgerRow visits the rows that a query chooses, page by page. begin is called with the first page. missed: the figures may be
// less than what happened.
func eachLedgerRow(ctx context.Context, b *book, q url.Values, begin func(*ledgerAnswer), visit func(*ledgerRow) error) (missed bool, err error) {
	for first := true; first || q.Get("cursor") != ""; first = false {
		page, err := b.page(ctx, q)
		if err != nil {
			return missed, err
		}
		if first {
			begin(&page)
		}
		missed = missed || page.Missed
		for i := range page.Rows {
			if err := visit(&page.Rows[i]); err != nil {
				if errors.Is(err, errEnough) {
					return missed, nil
				}
				return missed, err
			}
		}
		q.Set("cursor", page.Next)
	}
	return missed, nil
}

// ledgerRows prints rows.
type ledgerRows struct {
	list    *terminal.List
	csv     *csv.Writer // nil: a table, or JSON
	columns []string
	by      string
	ends    bool // a service has receipts
	n       int
}

// begin prints the headings.
func (r *ledgerRows) begin(s *terminal.Screen, asCSV, receipts bool) {
	headings := []string{strings.ToUpper(r.by)}
	for _, c := range r.columns {
		headings = append(headings, map[string]string{"service_id": "SERVICE", "app_id": "APP", "metric": "METRIC"}[c])
	}
	if r.ends = receipts; !asCSV {
		headings = append(headings, "ACCEPTED", "DELIVERED", "AMBIGUOUS", "DEAD", "PENDING")
		if r.ends {
			headings = append(headings, "RECEIPTS")
		}
		r.list = s.List(headings...)
		return
	}
	s.Clear()
	r.csv = csv.NewWriter(s.Out())
	_ = r.csv.Write(slices.Concat([]string{"time"}, r.columns, []string{"accepted", "delivered", "ambiguous", "dead", "restamped", "lost", "pending", "sent", "partial", "double", "unconfirmed"})) // kept, and returned by end
}

func (r *ledgerRows) add(row *ledgerRow) error {
	r.n++
	names := make([]string, len(r.columns))
	for i, c := range r.columns {
		names[i] = map[string]string{"service_id": row.ServiceID, "app_id": row.AppID, "metric": row.Metric}[c]
	}
	if r.csv == nil {
		layout := map[string]string{"month": "2006-01", "day": time.DateOnly, "hour": "2006-01-02 15:04"}[r.by]
		cells := []any{row.Time.UTC().Format(layout)}
		for _, name := range names {
			cells = append(cells, name)
		}
		cells = append(cells, row.Accepted, row.Delivered, row.Ambiguous, row.Dead, row.Pending)
		if r.ends {
			cells = append(cells, row.receipts())
		}
		return r.list.Add(row, cells...)
	}
	fields := []string{row.Time.UTC().Format(time.RFC3339)}
	for _, name := range names {
		fields = append(fields, spreadsheet.Text(name))
	}
	for _, n := range []int64{row.Accepted, row.Delivered, row.Ambiguous, row.Dead, row.Restamped, row.Lost, row.Pending, row.Sent, row.Partial, row.Double, row.Unconfirmed} {
		fields = append(fields, strconv.FormatInt(n, 10))
	}
	return r.csv.Write(fields)
}

// receipts says what receipts showed of the usage, where that is not that 3scale counted it whole and once.
func (r *ledgerRow) receipts() string {
	var parts []string
	for _, p := range []struct {
		n    int64
		name string
	}{{r.Sent, "sent"}, {r.Partial, "partial"}, {r.Double, "double"}, {r.Unconfirmed, "unconfirmed"}} {
		if p.n != 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.name))
		}
	}
	return strings.Join(parts, ", ")
}

func (r *ledgerRows) end() error {
	if r.csv == nil && r.list == nil {
		return nil // nothing could be read
	}
	if r.csv == nil {
		r.list.End()
		return nil
	}
	r.csv.Flush()
	return r.csv.Error()
}
