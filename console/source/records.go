package source

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/reporterd/reporterd/internal/timespec"
)

const (
	ledgerPage  = "10000"
	lettersPage = "1000"
	mostLetters = 200_000
)

var errTooManyLetters = errors.New("source: more than 200,000 dead letters: ask for less time, or one service")

// bounds is the query of the admin API for the range.
func (r *Result) bounds(service string) url.Values {
	q := url.Values{"since": {r.Since.UTC().Format(time.RFC3339)}, "until": {r.Until.UTC().Format(time.RFC3339)}}
	if service != "" {
		q.Set("service_id", service)
	}
	return q
}

// pages reads all pages of a list of the admin API, and calls each with its objects.
func pages(ctx context.Context, side *Side, path, list string, q url.Values, each func(object) error) error {
	for {
		text, err := side.Get(ctx, path, q)
		if err != nil {
			return err
		}
		answer, err := decode(text)
		if err != nil {
			return err
		}
		page, _ := answer.(object)
		rows, ok := page.get(list).([]any)
		if !ok {
			return errShape
		}
		for _, row := range rows {
			if o, ok := row.(object); ok {
				if err := each(o); err != nil {
					return err
				}
			}
		}
		next := page.text("next")
		if next == "" {
			return nil
		}
		q.Set("cursor", next)
	}
}

// deliveries asks the ledger by hour where the zone is not UTC, and adds up.
func (a *asking) deliveries(ctx context.Context, side *Side) (*Result, error) {
	span, r, err := a.ranged()
	if err != nil {
		return nil, err
	}
	figures := []string{"accepted", "delivered", "ambiguous", "dead", "restamped", "lost", "pending"}
	q := r.bounds(a.Service)
	q.Set("group", "service_id,metric")
	q.Set("limit", ledgerPage)
	if q.Set("by", "hour"); a.zone == time.UTC && a.By != "hour" {
		q.Set("by", a.By)
	}
	type cell struct {
		at              time.Time
		service, metric string
	}
	sums := make(map[cell][]int64)
	err = pages(ctx, side, "/api/v1/ledger", "rows", q, func(o object) error {
		at, err := time.Parse(time.RFC3339, o.text("time"))
		if err != nil {
			return errShape
		}
		i, found := slices.BinarySearchFunc(span.Buckets, at, time.Time.Compare)
		if i -= 1; found {
			i++
		}
		key := cell{span.Buckets[max(i, 0)], o.text("service_id"), o.text("metric")}
		if sums[key] == nil {
			sums[key] = make([]int64, len(figures))
		}
		for j, name := range figures {
			sums[key][j] += number(o.get(name))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.Table = newTable("time:time", "service:string", "metric:string")
	for _, name := range figures {
		r.Columns = append(r.Columns, Column{name, typeInteger})
	}
	order := func(x, y cell) int {
		return cmp.Or(x.at.Compare(y.at), strings.Compare(x.service, y.service), strings.Compare(x.metric, y.metric))
	}
	for _, c := range slices.SortedFunc(maps.Keys(sums), order) {
		row := []any{c.at.In(a.zone).Format(time.RFC3339), c.service, c.metric}
		for _, v := range sums[c] {
			row = append(row, v)
		}
		if err := r.add(row...); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// deadLetters counts the letters by service and reason.
func (a *asking) deadLetters(ctx context.Context, side *Side) (*Result, error) {
	_, r, err := a.ranged()
	if err != nil {
		return nil, err
	}
	type cell struct{ service, reason string }
	type sum struct {
		letters, events int64
		latest          string
	}
	sums, n := make(map[cell]sum), 0
	q := r.bounds(a.Service)
	q.Set("limit", lettersPage)
	err = pages(ctx, side, "/api/v1/deadletters", "deadletters", q, func(o object) error {
		if n++; n > mostLetters {
			return errTooManyLetters
		}
		reason, _ := o.get("reason").(object)
		key := cell{o.text("service_id"), reason.text("code")}
		s := sums[key]
		s.letters, s.events, s.latest = s.letters+1, s.events+number(o.get("events")), max(s.latest, o.text("created_at"))
		sums[key] = s
		return nil
	})
	if err != nil {
		return nil, err
	}
	var records []record
	for _, c := range slices.SortedFunc(maps.Keys(sums), func(x, y cell) int {
		return cmp.Or(strings.Compare(x.service, y.service), strings.Compare(x.reason, y.reason))
	}) {
		s := sums[c]
		records = append(records, record{{"service", c.service}, {"reason", c.reason}, {"letters", s.letters}, {"events", s.events}, {"latest", s.latest}})
	}
	r.Table, err = collect(records, a.zone)
	if len(records) == 0 {
		r.Table = newTable("service:string", "reason:string", "letters:integer", "events:integer", "latest:time")
	}
	return r, err
}

// reconciliation is the last comparison.
func (a *asking) reconciliation(ctx context.Context, side *Side) (*Result, error) {
	q := url.Values{}
	if a.Service != "" {
		q.Set("service_id", a.Service)
	}
	r := &Result{}
	if a.Since != "" {
		at, err := timespec.At(a.Since, a.now, a.zone)
		if err != nil {
			return nil, err
		}
		r.Since = at
		q.Set("since", at.UTC().Format(time.RFC3339))
	}
	var records []record
	err := pages(ctx, side, "/api/v1/reconcile", "cells", q, func(o object) error {
		records = append(records, flatten(nil, "", o))
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.Table, err = collect(records, a.zone)
	return r, err
}
