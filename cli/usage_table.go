package cli

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/internal/spreadsheet"
	"github.com/reporterd/reporterd/threescale/portal"
)

// usageColumn is one column: the service, or an application.
type usageColumn struct {
	name   string
	app    string          //  the application; empty: the service
	values map[int64]int64 // by the beginning of the row
	total  int64
}

func usageColumns(ctx context.Context, s *terminal.Screen, p *portal.Client, q usageQuery, one portal.Service, apps []string) ([]usageColumn, error) {
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
		s.Progress("applications", int64(i), int64(len(apps)))
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

func usageCSV(s *terminal.Screen, q usageQuery, one portal.Service, rows []time.Time, columns []usageColumn) error {
	w := csv.NewWriter(s.Out())
	_ = w.Write([]string{"time", "service_id", "app_id", "metric", "value"})
	for _, t := range rows {
		for i := range columns {
			_ = w.Write([]string{t.Format(time.RFC3339), one.ServiceID(), spreadsheet.Text(columns[i].app), spreadsheet.Text(q.metric), strconv.FormatInt(columns[i].values[t.Unix()], 10)})
		}
	}
	w.Flush()
	return w.Error()
}

func usageJSON(s *terminal.Screen, q usageQuery, one portal.Service, rows []time.Time, columns []usageColumn) error {
	for _, t := range rows {
		for i := range columns {
			if err := s.Object(struct {
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
func usageTable(s *terminal.Screen, q usageQuery, one portal.Service, rows []time.Time, columns []usageColumn) {
	s.Printf("%s, %s: %s, by %s, %s\n", one.ServiceID(), terminal.Clean(one.Name), terminal.Clean(q.metric), q.by, q.zone)
	headings, most := []string{strings.ToUpper(q.by)}, int64(1)
	for _, c := range columns {
		headings = append(headings, c.name)
		for _, v := range c.values {
			most = max(most, v)
		}
	}
	table := s.Table(headings...)
	for _, t := range rows {
		row := []any{q.label(t)}
		for _, c := range columns {
			row = append(row, c.values[t.Unix()])
		}
		if len(columns) == 1 {
			row = append(row, terminal.Cell{Text: strings.Repeat("█", int(columns[0].values[t.Unix()]*barWidth/most)), Colour: terminal.Green})
		}
		table.Row(row...)
	}
	total := []any{"TOTAL"}
	for _, c := range columns {
		total = append(total, c.total)
	}
	table.Row(total...)
	table.Flush()
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
	return portal.Service{}, misuse(fmt.Errorf("%q: the portal shows no such service: expected one of %s", name, some(names)))
}

func findApplication(all []portal.Application, name string) (portal.Application, error) {
	var names []string
	for _, a := range all {
		if a.Reported == name || a.Name == name || strconv.FormatInt(a.ID, 10) == name {
			return a, nil
		}
		names = append(names, terminal.Clean(cmp.Or(a.Reported, a.Name)))
	}
	return portal.Application{}, misuse(fmt.Errorf("--app: %q: the service has no such application: expected one of %s", name, some(names)))
}

// some are a few of the names.
func some(names []string) string {
	if len(names) == 0 {
		return "none: it shows none"
	}
	if len(names) > mostWords {
		return strings.Join(names[:mostWords], ", ") + fmt.Sprintf(" and %d more", len(names)-mostWords)
	}
	return strings.Join(names, ", ")
}
