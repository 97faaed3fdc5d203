package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/reporterd/reporterd/internal/timespec"
	"github.com/reporterd/reporterd/threescale/analytics"
	"github.com/reporterd/reporterd/threescale/portal"
)

// Side answers questions: the ledger does, and 3scale. All functions may be called concurrently.
type Side struct {
	// Get answers a GET of the APIs with JSON.
	Get func(ctx context.Context, path string, q url.Values) (json.RawMessage, error)
	// Applications returns those of a service.
	Applications func(ctx context.Context, service string) ([]analytics.Application, error)
	// Usage calls add with the usage of each hour that has any, or of each UTC day if the question is Daily.
	Usage func(ctx context.Context, q UsageQuery, add func(application string, at time.Time, value int64)) error
	// Top returns what the applications with the most usage used; nil: it is added up from Usage.
	Top func(ctx context.Context, q UsageQuery, most int) (map[string]int64, error)
}

// UsageQuery asks what was counted of a metric, its methods included, in the UTC hours that begin in [Since, Until).
type UsageQuery struct {
	Service, Application, Metric string // no Application: of all, added up
	Each                         bool   // of each application, which add is told; otherwise it is told none
	Daily                        bool
	Since, Until                 time.Time
}

// Sides are who can be asked.
type Sides struct {
	Ledger, ThreeScale *Side // nil: there is none
	// Plans returns the application plans of a service from 3scale, and Limits those of a plan; nil without 3scale.
	Plans   func(ctx context.Context, service string) ([]portal.Plan, error)
	Limits  func(ctx context.Context, plan int64) ([]portal.Limit, error)
	Metrics func(ctx context.Context, service string) ([]portal.Metric, error)
}

var (
	errBackwards = errors.New("source: until is before since")
	errNoLedger  = errors.New("source: there is no ledger: ledger.enabled is false, it cannot be opened, or spool.engine is jetstream")
	errNoPortal  = errors.New("source: there is no admin portal: set portal.url and portal.access_token_file")
)

// side returns who answers.
func (s *Sides) side(from From) (*Side, error) {
	switch {
	case from == Ledger && s.Ledger == nil:
		return nil, errNoLedger
	case from == ThreeScale && s.ThreeScale == nil:
		return nil, errNoPortal
	case from == Ledger:
		return s.Ledger, nil
	}
	return s.ThreeScale, nil
}

// Result is one answer. It is immutable.
type Result struct {
	AsOf         time.Time // when the question was put
	Since, Until time.Time // zero where the question has no range; Until is exclusive
	*Table
	original json.RawMessage // with shape original
}

// Ask puts the question of a source, now.
func (s *Sides) Ask(ctx context.Context, src *Source) (*Result, error) {
	a := &asking{Sides: s, Source: src, now: time.Now()}
	r, err := a.answer(ctx)
	if err != nil {
		return nil, err
	}
	r.AsOf = a.now
	return r, r.rename(src.Columns)
}

// asking is a question under way.
type asking struct {
	*Sides
	*Source
	now time.Time
}

func (a *asking) answer(ctx context.Context) (*Result, error) {
	if a.From != Both {
		return a.one(ctx, a.From)
	}
	ours, err := a.one(ctx, Ledger)
	if err != nil {
		return nil, err
	}
	theirs, err := a.one(ctx, ThreeScale)
	if err != nil {
		return nil, err
	}
	ours.Table, err = join(ours.Table, theirs.Table)
	return ours, err
}

// one asks one side.
func (a *asking) one(ctx context.Context, from From) (*Result, error) {
	side, err := a.side(from)
	if err != nil {
		return nil, err
	}
	switch {
	case a.Path != "":
		return a.get(ctx, side, a.Path)
	case catalogue[a.Question].path != "":
		return a.get(ctx, side, a.listPath())
	}
	switch a.Question {
	case "limits":
		return a.limits(ctx)
	case "limit_utilisation":
		return a.utilisation(ctx, side)
	case "deliveries":
		return a.deliveries(ctx, side)
	case "dead_letters":
		return a.deadLetters(ctx, side)
	case "reconciliation":
		return a.reconciliation(ctx, side)
	case "usage_by_application", "top_applications":
		return a.byApplication(ctx, side)
	}
	return a.usage(ctx, side)
}

// listPath returns what is asked for a list of the catalogue.
func (a *asking) listPath() string {
	path := strings.ReplaceAll(catalogue[a.Question].path, "{service}", url.PathEscape(a.Service))
	if a.Question == "applications" && a.Service != "" {
		path += "?service_id=" + url.QueryEscape(a.Service)
	}
	return path
}

const (
	perPage   = 500 // the most that 3scale gives
	mostPages = mostRows / perPage
)

// get asks for a path with all its pages.
func (a *asking) get(ctx context.Context, side *Side, target string) (*Result, error) {
	expanded, err := timespec.Expand(target, a.now, a.zone)
	if err != nil {
		return nil, err
	}
	path, q, err := queryOf(expanded)
	if err != nil {
		return nil, fmt.Errorf("source: path: %w", err)
	}
	paged := strings.HasPrefix(path, "/admin/api/") && !q.Has("page") && !q.Has("per_page") && a.Shape != shapeOriginal
	var records []record
	for page := 1; page <= mostPages; page++ {
		if paged {
			q.Set("page", strconv.Itoa(page))
			q.Set("per_page", strconv.Itoa(perPage))
		}
		text, err := side.Get(ctx, path, q)
		if err != nil {
			return nil, err
		}
		answer, err := decode(text)
		if err != nil {
			return nil, err
		}
		more, err := unfold(answer)
		if err != nil {
			return nil, err
		}
		if a.Shape == shapeOriginal {
			t, err := collect(more, a.zone)
			return &Result{Table: t, original: text}, err
		}
		if page > 1 && len(more) > 0 && fmt.Sprint(more[0]) == fmt.Sprint(records[0]) {
			break // a collection without pages sends all of it each time
		}
		if records = append(records, more...); !paged || len(more) < perPage {
			break
		}
	}
	t, err := collect(records, a.zone)
	return &Result{Table: t}, err
}

// span returns the hours, days or months of the range as of now: whole ones by the calendar of the zone, until included.
func (s *Source) span(now time.Time) (*analytics.Span, error) {
	since, until := s.Since, s.Until
	if since == "" {
		since = defaultSince
	}
	if until == "" {
		until = "now"
	}
	q := url.Values{"granularity": {s.By}, "timezone": {s.Timezone}}
	for name, text := range map[string]string{"since": since, "until": until} {
		at, err := timespec.At(text, now, s.zone)
		if err != nil {
			return nil, err
		}
		q.Set(name, at.Format(time.RFC3339))
	}
	span, err := analytics.ReadSpan(q, now, false)
	if err == nil && len(span.Buckets) == 0 {
		err = errBackwards
	}
	return span, err
}

// Meaning returns what since and until mean now; zero where the question has no range. Until is exclusive.
func (s *Source) Meaning(now time.Time) (since, until time.Time) {
	if s.By == "" {
		return since, until
	}
	if span, err := s.span(now); err == nil {
		return span.Buckets[0], span.End(span.Buckets[len(span.Buckets)-1])
	}
	return since, until
}

// Query returns the path with what its dates mean now; empty: the source has none.
func (s *Source) Query(now time.Time) string {
	text, _ := timespec.Expand(s.Path, now, s.zone) // the file was checked
	return text
}
