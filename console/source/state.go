package source

import (
	"errors"
	"slices"
	"time"

	"github.com/reporterd/reporterd/threescale/portal"
)

// ErrUnknown is returned for a name that no source has.
var ErrUnknown = errors.New("source: there is no source of this name")

// State is what the admin API says of a source.
type State struct {
	*Source
	RefreshSeconds int64  `json:"refresh_seconds"`
	Token          bool   `json:"token"`           // it has a reader's token
	AsOf           string `json:"as_of,omitempty"` // of the last good answer; empty: there is none
	AgeSeconds     int64  `json:"age_seconds"`
	Stale          bool   `json:"stale"`
	Reason         string `json:"reason,omitempty"` // why it is stale
	Rows           int    `json:"rows"`
	Next           string `json:"next,omitempty"` // when it is asked again
	// What the dates mean now; of a path, the path.
	MeansSince string   `json:"means_since,omitempty"`
	MeansUntil string   `json:"means_until,omitempty"` // exclusive
	MeansPath  string   `json:"means_path,omitempty"`
	Columns    []Column `json:"answer_columns,omitempty"`
}

// Question is one of the catalogue.
type Question struct {
	Name  string   `json:"name"`
	About string   `json:"about"`
	Needs []string `json:"needs"` // fields that must be given
	Takes []string `json:"takes"` // fields that may be given beside those
	From  []From   `json:"from"`  // who can answer, the default first
}

// List is the answer of GET /api/v1/sources.
type List struct {
	Sources   []State           `json:"sources"`
	Questions map[string]string `json:"questions"` // the catalogue, with a sentence about each
	Catalogue []Question        `json:"catalogue"` // the same, with what each needs
}

// Counts are the figures of all sources.
type Counts struct {
	Fresh, Stale, Unanswered int
	Oldest                   time.Duration // age of the oldest answer; 0: there is none
	Asked, Failed            uint64        // questions in the background, since the start
}

// Counts returns how the answers of all sources are now.
func (s *Store) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, c := time.Now(), Counts{Asked: s.asked, Failed: s.failed}
	for _, e := range s.sources {
		if e.answer == nil {
			c.Unanswered++
			continue
		}
		age := max(now.Sub(e.answer.AsOf), 0)
		c.Oldest = max(c.Oldest, age)
		if e.reason != "" || age > e.Refresh+overdue {
			c.Stale++
		} else {
			c.Fresh++
		}
	}
	return c
}

// overdue is how much older than its refresh an answer may be before it is stale.
const overdue = time.Minute

// List returns all sources in the order of the file.
func (s *Store) List() List {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := List{Sources: []State{}, Questions: make(map[string]string)}
	for _, e := range s.sources {
		l.Sources = append(l.Sources, s.stateLocked(e, time.Now()))
	}
	for _, name := range Questions() {
		q := catalogue[name]
		l.Questions[name] = q.about
		l.Catalogue = append(l.Catalogue, Question{name, q.about, append([]string{}, q.needs...), append([]string{}, q.takes...), q.from})
	}
	return l
}

// find returns the source of a name with its answer, which is nil before the first good one.
func (s *Store) find(name string) (*Source, *encoded, State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.sources, func(e *entry) bool { return e.Name == name })
	if at < 0 {
		return nil, nil, State{}, ErrUnknown
	}
	e := s.sources[at]
	return e.Source, e.answer, s.stateLocked(e, time.Now()), nil
}

// stateLocked describes a source. An answer is stale when the last question failed, or the next one is overdue.
func (s *Store) stateLocked(e *entry, now time.Time) State {
	state := State{Source: e.Source, RefreshSeconds: int64(e.Refresh / time.Second), Token: e.readers, Reason: e.reason, MeansPath: e.Query(now)}
	since, until := e.Meaning(now)
	state.MeansSince, state.MeansUntil = stamp(since), stamp(until)
	l := &s.lanes[e.lane()]
	next := e.due
	if l.held.After(next) {
		next = l.held
	}
	if next.After(now) {
		state.Next = stamp(next.UTC())
	}
	if e.answer == nil {
		state.Stale = true
		if state.Reason == "" {
			state.Reason = or(l.reason, "it is being asked for the first time")
		}
		return state
	}
	age := now.Sub(e.answer.AsOf)
	state.AsOf, state.AgeSeconds, state.Rows, state.Columns = stamp(e.answer.AsOf.UTC()), max(int64(age/time.Second), 0), len(e.answer.Rows), e.answer.Columns
	if state.Stale = e.reason != "" || age > e.Refresh+overdue; state.Stale && state.Reason == "" {
		state.Reason = or(l.reason, "the next answer is overdue")
	}
	return state
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// mostTesting bounds how long a caller waits for a test.
const mostTesting = time.Minute

// retryAfter returns how long an answer asks to be left alone.
func retryAfter(err error) time.Duration {
	var e *portal.Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}
