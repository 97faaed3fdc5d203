package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"
)

// Range asks for another range than a source's own. Empty fields leave what the source has.
type Range struct {
	Since, Until, By, Timezone string
	Before                     bool // the same number of hours, days or months before the range
}

// View is an answer for a dashboard.
type View struct {
	Columns    []Column          `json:"columns"`
	Rows       []json.RawMessage `json:"rows"`        // at most 5000
	Count      int               `json:"rows_in_all"` // before they were cut
	AsOf       string            `json:"as_of"`
	AgeSeconds int64             `json:"age_seconds"`
	Since      string            `json:"since,omitempty"`
	Until      string            `json:"until,omitempty"` // exclusive
	Timezone   string            `json:"timezone"`
	Moved      bool              `json:"moved"` // the range is the one that was asked for
	Stale      bool              `json:"stale"`
	Reason     string            `json:"reason,omitempty"` // why it is stale

	encoded []byte        // Rows as one array of JSON, made once for all readers
	rows    string        // a hash of columns and rows
	whole   func() []byte // what JSON returns, made once for all who read in the same second; nil: it is not shared
}

const (
	mostViewed = 5000             // rows
	viewsKept  = 64               // answers
	viewLife   = 10 * time.Second // of an answer that was asked for with a range
	mostViews  = 2                // asked for at a time
	viewTime   = 30 * time.Second // for one
)

// Errors of Look.
var (
	ErrNoAnswer = errors.New("source: there is no answer yet")
	ErrRange    = errors.New("source: range")
)

// views are answers of the last seconds: a thousand readers of one dashboard ask the ledger once.
type views struct {
	slots chan struct{} // holds one for each question that is being asked
	kept  map[string]view

	second int64 // Unix; recent is of it
	recent map[recentKey]*View
}

// recentKey is a question as it is asked.
type recentKey struct {
	*Source
	Range
}

type view struct {
	at time.Time
	*View
}

// Movable reports whether a source can be asked for any range at once: only the ledger is asked then, which costs 3scale nothing.
func (s *Source) Movable() bool { return !s.asksPortal() && s.By != "" }

// within returns the source with another range, checked.
func (s *Source) within(r Range, now time.Time) (*Source, error) {
	c := *s
	if r.Since != "" {
		c.Since, c.Until = r.Since, r.Until
	}
	if r.By != "" {
		c.By = r.By
	}
	if r.Timezone != "" {
		zone, err := time.LoadLocation(r.Timezone)
		if err != nil || r.Timezone == "Local" {
			return nil, fmt.Errorf("%w: timezone: %q: expected a name such as UTC or Europe/Madrid", ErrRange, r.Timezone)
		}
		c.Timezone, c.zone = r.Timezone, zone
	}
	if !slices.Contains([]string{"hour", "day", "month"}, c.By) {
		return nil, fmt.Errorf("%w: by: %q: expected hour, day or month", ErrRange, c.By)
	}
	span, err := c.span(now)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRange, err)
	}
	if r.Before {
		first, n := span.Buckets[0].In(c.zone), len(span.Buckets)
		begin := first.Add(-time.Duration(n) * time.Hour)
		switch c.By {
		case "day":
			begin = first.AddDate(0, 0, -n)
		case "month":
			begin = first.AddDate(0, -n, 0)
		}
		c.Since, c.Until = begin.Format(time.RFC3339), first.Add(-time.Second).Format(time.RFC3339)
	}
	return &c, nil
}

// Within returns the source with another range as of now. An error is an ErrRange.
func (s *Source) Within(r Range) (*Source, error) { return s.within(r, time.Now()) }

// AsksPortal reports whether 3scale is asked.
func (s *Source) AsksPortal() bool { return s.asksPortal() }

// Look answers for a dashboard: from the ledger for the range, or else the last good answer, with the source's own range. Errors are
// ErrUnknown, ErrNoAnswer, ErrRange, or what the ledger says. It may be called concurrently; answers may be ten seconds old.
func (s *Store) Look(ctx context.Context, name string, r Range) (*View, error) {
	src, answer, state, err := s.find(name)
	switch {
	case err != nil:
		return nil, err
	case src.Movable():
		return s.LookAt(ctx, src, r)
	case r.Before:
		return nil, fmt.Errorf("%w: this source has only the range of its last answer", ErrRange)
	case answer == nil:
		return nil, fmt.Errorf("%w: %s", ErrNoAnswer, state.Reason)
	}
	v := viewOf(src, answer, false)
	v.AgeSeconds, v.Stale, v.Reason = state.AgeSeconds, state.Stale, state.Reason
	return v, nil
}

// LookAt is Look for a question that has no name. It must not ask 3scale.
func (s *Store) LookAt(ctx context.Context, src *Source, r Range) (*View, error) {
	if src.asksPortal() {
		return nil, errors.New("source: what asks 3scale has to be a source: then it is asked once for all readers")
	}
	now := time.Now()
	if v := s.recent(recentKey{src, r}, now, nil); v != nil {
		return v, nil
	}
	v, err := s.lookAt(ctx, src, r, now)
	if err != nil {
		return nil, err
	}
	return s.recent(recentKey{src, r}, now, v), nil
}

// recent returns the answer of this second to a question, and keeps v if there is none; nil: there is none, and v is nil. A thousand
// readers a second cost the work of one.
func (s *Store) recent(k recentKey, now time.Time, v *View) *View {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.views.second != now.Unix() {
		s.views.second, s.views.recent = now.Unix(), make(map[recentKey]*View)
	}
	if known := s.views.recent[k]; known != nil || v == nil {
		return known
	}
	shared := *v
	shared.whole = sync.OnceValue(v.JSON)
	if len(s.views.recent) < viewsKept {
		s.views.recent[k] = &shared
	}
	return &shared
}

func (s *Store) lookAt(ctx context.Context, src *Source, r Range, now time.Time) (*View, error) {
	moved := src.Movable()
	if moved {
		var err error
		if src, err = src.within(r, now); err != nil {
			return nil, err
		}
	}
	key := src.fingerprint()
	if v := s.viewed(key, now); v != nil {
		return v, nil
	}
	select {
	case s.views.slots <- struct{}{}:
		defer func() { <-s.views.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if v := s.viewed(key, time.Now()); v != nil { // another reader's question
		return v, nil
	}
	ctx, cancel := context.WithTimeout(ctx, viewTime)
	defer cancel()
	sides := s.options.Sides()
	result, err := sides.Ask(ctx, src)
	if err != nil {
		return nil, err
	}
	answer, err := encode(result)
	if err != nil {
		return nil, err
	}
	v := viewOf(src, answer, moved)
	s.mu.Lock()
	defer s.mu.Unlock()
	for other, old := range s.views.kept {
		if len(s.views.kept) >= viewsKept || time.Since(old.at) >= viewLife {
			delete(s.views.kept, other)
		}
	}
	s.views.kept[key] = view{time.Now(), v}
	return v, nil
}

// viewed returns an answer of the last seconds; nil: there is none.
func (s *Store) viewed(key string, now time.Time) *View {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.views.kept[key]
	if !ok || now.Sub(v.at) >= viewLife {
		return nil
	}
	aged := *v.View
	aged.AgeSeconds = max(int64(now.Sub(v.at)/time.Second), 0)
	return &aged
}

// noRows is a view's rows where it has none. A text cannot have it: its quotes are escaped.
var noRows = []byte(`"rows":[]`)

// Tag returns the view's entity tag: it changes when its rows, its range, its staleness or the time it is of do, and not with its age.
func (v *View) Tag() string {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%q%q%q%q%q%v%v%q%d", v.rows, v.AsOf, v.Since, v.Until, v.Timezone, v.Moved, v.Stale, v.Reason, v.Count) // a hash takes everything
	return fmt.Sprintf(`W/"%016x"`, h.Sum64())
}

// JSON returns the view in JSON. The rows are encoded once for all who read the same answer.
func (v *View) JSON() []byte {
	if v.whole != nil {
		return v.whole()
	}
	head := *v
	head.Rows = []json.RawMessage{}
	before, after, _ := bytes.Cut(marshal(head), noRows)
	return slices.Concat(before, noRows[:len(noRows)-2], v.encoded, after)
}

func viewOf(src *Source, e *encoded, moved bool) *View {
	v := &View{
		Columns: append([]Column{}, e.Columns...), Rows: []json.RawMessage{}, Count: len(e.lines), AsOf: stamp(e.AsOf.UTC()),
		Since: stamp(e.Since), Until: stamp(e.Until), Timezone: src.Timezone, Moved: moved, rows: e.tag,
	}
	for _, line := range e.lines[:min(len(e.lines), mostViewed)] {
		v.Rows = append(v.Rows, line)
	}
	v.encoded = slices.Concat([]byte{'['}, bytes.Join(e.lines[:len(v.Rows)], []byte{','}), []byte{']'})
	return v
}
