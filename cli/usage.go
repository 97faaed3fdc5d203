package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/threescale/analytics"
	"github.com/reporterd/reporterd/threescale/portal"
)

const (
	barWidth  = 40
	byMonth   = "month"
	mostWords = 6 // names in an error that offers some
)

func newUsage() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "usage SERVICE",
		Short: "Show what 3scale counted",
		Long: `Asks 3scale's Analytics what it counted of a metric: for a service, or for some
of its applications. The service is named by its id, system name or name, an
application by what reports call it, its name, or the portal's id.

Days and months are those of UTC, as in 3scale's invoices, unless --tz names
another zone; then they are summed up from hours, which is right across summer
time too.`,
		Example: `  reporterd usage 1001 --sandbox --since 24h --by hour
  reporterd usage orders --metric hits --since 7d --by day
  reporterd usage orders --app acme --app globex --since month --output csv
  reporterd usage orders --since 90d --by month --tz Europe/Madrid --output json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("usage: expected one service; reporterd services lists them")
			}
			return nil
		},
		ValidArgsFunction: completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			format, _ := cmd.Flags().GetString("output")
			if format == "csv" {
				_ = cmd.Flags().Set("output", "table") // the screen knows two
			}
			return asking(func(ctx context.Context, s *terminal.Screen, p *portal.Client, _ *config.Config, cmd *cobra.Command, args []string) error {
				return showUsage(ctx, s, p, cmd, args[0], format)
			})(cmd, args)
		},
	}
	cmd.Flags().String("metric", "hits", "system `name` of the metric or method")
	cmd.Flags().StringArray("app", nil, "only this `application`; may be given several times")
	cmd.Flags().String("since", "7d", "from this `time` on (2026-02-01, RFC 3339), or so long ago (24h, 7d)")
	cmd.Flags().String("until", "", "up to this `time`; default: now")
	cmd.Flags().String("by", "day", "`width` of a row: hour, day or month")
	cmd.Flags().String("tz", "UTC", "`zone` of days and months, such as Europe/Madrid")
	addPortal(cmd)
	cmd.Flags().StringP("output", "o", "table", "`table` for people, csv, or json: one object a line")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "csv", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("app", ledgerValues("app_id"))
	_ = cmd.RegisterFlagCompletionFunc("metric", ledgerValues("metric"))
	return cmd
}

// usageQuery is what the options ask for.
type usageQuery struct {
	metric       string
	since, until time.Time
	by           string
	zone         *time.Location
}

func readUsageQuery(cmd *cobra.Command, now time.Time) (q usageQuery, err error) {
	word := func(name string) string { text, _ := cmd.Flags().GetString(name); return text }
	q.metric, q.by = word("metric"), word("by")
	if q.by != string(portal.Hours) && q.by != string(portal.Days) && q.by != byMonth {
		return q, misuse(fmt.Errorf("--by: %q: expected hour, day or month", q.by))
	}
	if q.zone, err = time.LoadLocation(word("tz")); err != nil {
		return q, misuse(fmt.Errorf("--tz: %q: expected a zone such as Europe/Madrid", word("tz")))
	}
	if _, offset := now.In(q.zone).Zone(); offset%3600 != 0 {
		return q, misuse(fmt.Errorf("--tz: %q: expected a zone that is whole hours from UTC: 3scale counts by UTC hours", word("tz")))
	}
	if q.since, err = pastTime("--since", word("since"), now, q.zone); err != nil {
		return q, err
	}
	if q.until = now; word("until") != "" {
		if q.until, err = pastTime("--until", word("until"), now, q.zone); err != nil {
			return q, err
		}
	}
	q.since = q.floor(q.since)
	if !q.since.Before(q.until) {
		return q, misuse(errors.New("--until: expected a time after --since"))
	}
	return q, nil
}

// floor is the beginning of the row that a time falls in.
func (q *usageQuery) floor(t time.Time) time.Time {
	t = t.In(q.zone)
	switch q.by {
	case byMonth:
		return analytics.BeginningOfDay(t.Year(), t.Month(), 1, q.zone)
	case string(portal.Days):
		return analytics.BeginningOfDay(t.Year(), t.Month(), t.Day(), q.zone)
	}
	return t.Truncate(time.Hour)
}

func (q *usageQuery) label(t time.Time) string {
	return t.In(q.zone).Format(map[string]string{byMonth: "2006-01", "day": time.DateOnly, "hour": "2006-01-02 15:04"}[q.by])
}

func showUsage(ctx context.Context, s *terminal.Screen, p *portal.Client, cmd *cobra.Command, service, format string) error {
	q, err := readUsageQuery(cmd, time.Now())
	if err != nil {
		return err
	}
	one, err := findService(ctx, p, service)
	if err != nil {
		return err
	}
	apps, _ := cmd.Flags().GetStringArray("app")
	columns, err := usageColumns(ctx, s, p, q, one, apps)
	if err != nil {
		return err
	}
	rows := q.rows()
	switch {
	case format == "csv":
		return usageCSV(s, q, one, rows, columns)
	case s.JSON():
		return usageJSON(s, q, one, rows, columns)
	}
	usageTable(s, q, one, rows, columns)
	return nil
}

// rows are the beginnings of the rows.
func (q *usageQuery) rows() (all []time.Time) {
	for t := q.since; t.Before(q.until); t = q.next(t) {
		all = append(all, t)
	}
	return all
}

func (q *usageQuery) next(t time.Time) time.Time {
	switch q.by {
	case byMonth:
		return analytics.BeginningOfDay(t.Year(), t.Month()+1, 1, q.zone)
	case string(portal.Days):
		return analytics.BeginningOfDay(t.Year(), t.Month(), t.Day()+1, q.zone)
	}
	return t.Add(time.Hour)
}
