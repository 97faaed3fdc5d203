package cli

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/internal/timespec"
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
		Long: `Asks 3scale's Analytics what it counted of a metric: for a service, or for some of its
applications. The service is named by its id, system name or name, an application by what
reports call it, its name, or the portal's id.

Days and months are those of UTC, as in 3scale's invoices, unless --tz names another zone;
then they are summed up from hours, which is right across summer time too.`,
		Example: `  reporterd usage 1001 --sandbox --since 24h --by hour
  reporterd usage orders --metric hits --since 7d --by day
  reporterd usage orders --app acme --app globex --since 2026-02-01 --until 2026-03-01 --output csv
  reporterd usage orders --since 90d --by month --tz Europe/Madrid --output json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("usage: expected one service; reporterd services lists them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			format, _ := cmd.Flags().GetString("output")
			if format == "csv" {
				_ = cmd.Flags().Set("output", "table") // the screen knows two
			}
			return asking(func(ctx context.Context, s *screen, p *portal.Client, _ *config.Config, cmd *cobra.Command, args []string) error {
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
	if q.since, err = sinceTime(word("since"), now, q.zone); err != nil {
		return q, misuse(fmt.Errorf("--since: %q: expected a time or how long ago (24h, 7d)", word("since")))
	}
	if q.until = now; word("until") != "" {
		if q.until, err = sinceTime(word("until"), now, q.zone); err != nil {
			return q, misuse(fmt.Errorf("--until: %q: expected a time or how long ago (24h, 7d)", word("until")))
		}
	}
	q.since = q.floor(q.since)
	if !q.since.Before(q.until) {
		return q, misuse(errors.New("--until: expected a time after --since"))
	}
	return q, nil
}

// sinceTime reads a time as pastTime does, and days of a zone.
func sinceTime(text string, now time.Time, zone *time.Location) (time.Time, error) {
	return timespec.At(text, now, zone)
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

// usageColumn is one column: the service, or an application.
type usageColumn struct {
	name   string
	app    string          //  the application; empty: the service
	values map[int64]int64 // by the beginning of the row
	total  int64
}

func showUsage(ctx context.Context, s *screen, p *portal.Client, cmd *cobra.Command, service, format string) error {
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
	case s.json:
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

func usageColumns(ctx context.Context, s *screen, p *portal.Client, q usageQuery, one portal.Service, apps []string) ([]usageColumn, error) {
	question := portal.Question{ServiceID: one.ServiceID(), Metric: q.metric, Since: q.since, Until: q.until}
	if q.zone == time.UTC && q.by != string(portal.Hours) {
		question.Granularity = portal.Days
	}
	ask := func(name, app string, id int64) (usageColumn, error) {
		question.ApplicationID = id
		counts, err := p.Usage(ctx, question)
		c := usageColumn{name: name, app: app, values: make(map[int64]int64)}
		for _, n := range counts {
			c.values[q.floor(n.Time).Unix()] += n.Value
			c.total += n.Value
		}
		return c, err
	}
	if len(apps) == 0 {
		c, err := ask(one.Name, "", 0)
		return []usageColumn{c}, err
	}
	known, err := applicationsOf(ctx, p, one.ServiceID())
	if err != nil {
		return nil, err
	}
	var columns []usageColumn
	for i, name := range apps {
		s.progress("applications", int64(i), int64(len(apps)))
		a, err := findApplication(known, name)
		if err != nil {
			return nil, err
		}
		called := cmp.Or(a.Reported, a.Name)
		c, err := ask(called, called, a.ID)
		if err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	return columns, nil
}

func findService(ctx context.Context, p *portal.Client, name string) (portal.Service, error) {
	all, err := p.Services(ctx)
	if portal.FaultOf(err) == portal.FaultScope { // the token is good for Analytics alone: an id is enough there
		if id, parseErr := strconv.ParseInt(name, 10, 64); parseErr == nil {
			return portal.Service{ID: id, Name: name}, nil
		}
	}
	if err != nil {
		return portal.Service{}, err
	}
	var names []string
	for _, s := range all {
		if s.ServiceID() == name || s.SystemName == name || s.Name == name {
			return s, nil
		}
		names = append(names, s.ServiceID()+" ("+terminal.Clean(s.Name)+")")
	}
	return portal.Service{}, fmt.Errorf("%q: the portal shows no such service: expected one of %s", name, some(names))
}

func findApplication(all []portal.Application, name string) (portal.Application, error) {
	var names []string
	for _, a := range all {
		if a.Reported == name || a.Name == name || strconv.FormatInt(a.ID, 10) == name {
			return a, nil
		}
		names = append(names, terminal.Clean(cmp.Or(a.Reported, a.Name)))
	}
	return portal.Application{}, fmt.Errorf("--app: %q: the service has no such application: expected one of %s", name, some(names))
}

// some are a few of the names.
func some(names []string) string {
	if len(names) == 0 {
		return "none: it shows none"
	}
	if len(names) > mostWords {
		return strings.Join(names[:mostWords], ", ") + fmt.Sprintf(" and %d others", len(names)-mostWords)
	}
	return strings.Join(names, ", ")
}

func usageCSV(s *screen, q usageQuery, one portal.Service, rows []time.Time, columns []usageColumn) error {
	w := csv.NewWriter(s.out)
	_ = w.Write([]string{"time", "service_id", "app_id", "metric", "value"})
	for _, t := range rows {
		for i := range columns {
			_ = w.Write([]string{t.Format(time.RFC3339), one.ServiceID(), harmless(columns[i].app), harmless(q.metric), strconv.FormatInt(columns[i].values[t.Unix()], 10)})
		}
	}
	w.Flush()
	return w.Error()
}

func usageJSON(s *screen, q usageQuery, one portal.Service, rows []time.Time, columns []usageColumn) error {
	for _, t := range rows {
		for i := range columns {
			if err := s.object(struct {
				Time      time.Time `json:"time"`
				ServiceID string    `json:"service_id"`
				AppID     string    `json:"app_id,omitempty"`
				Metric    string    `json:"metric"`
				Value     int64     `json:"value"`
			}{t, one.ServiceID(), columns[i].app, q.metric, columns[i].values[t.Unix()]}); err != nil {
				return err
			}
		}
	}
	return nil
}

// usageTable prints a row for each hour, day or month, with a bar where there is one column.
func usageTable(s *screen, q usageQuery, one portal.Service, rows []time.Time, columns []usageColumn) {
	s.printf("%s, %s: %s, by %s, %s\n", one.ServiceID(), terminal.Clean(one.Name), terminal.Clean(q.metric), q.by, q.zone)
	most := int64(1)
	head := fmt.Sprintf("%-16s", strings.ToUpper(q.by))
	for _, c := range columns {
		head += fmt.Sprintf("  %14s", terminal.Clean(c.name))
		for _, v := range c.values {
			most = max(most, v)
		}
	}
	s.printf("%s\n", head)
	for _, t := range rows {
		line := fmt.Sprintf("%-16s", q.label(t))
		for _, c := range columns {
			line += fmt.Sprintf("  %14d", c.values[t.Unix()])
		}
		if len(columns) == 1 {
			line += "  " + s.paint(green, strings.Repeat("█", int(columns[0].values[t.Unix()]*barWidth/most)))
		}
		s.printf("%s\n", strings.TrimRight(line, " "))
	}
	line := fmt.Sprintf("%-16s", "TOTAL")
	for _, c := range columns {
		line += fmt.Sprintf("  %14d", c.total)
	}
	s.printf("%s\n", line)
}
