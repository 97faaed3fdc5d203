package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

var (
	// ErrApart is wrapped by every error of a Joint that comes from a partition without an answer. Nothing can be said of the whole
	// then, and the question may be repeated in a few seconds.
	ErrApart = errors.New("ledger: not every partition answers, and figures without one would be too low: retry in a few seconds")

	errCursor = errors.New("cursor: another replica has the partition since then: begin again without it")
	errMoved  = errors.New("another replica took it, or the application of a user key became known, while its rows were read")
)

const (
	// jointTime limits a question to one partition, and idsAtOnce the names in it.
	jointTime = 30 * time.Second
	idsAtOnce = 10_000
)

// JointOptions of NewJoint.
type JointOptions struct {
	Partitions int

	// Ask puts a question to the ledger of a partition's owner, and returns what Ledger.Answer did there, or why there is no answer.
	Ask func(ctx context.Context, partition int, question []byte) (answer []byte, err error)
}

// Joint answers from the ledgers of all partitions as if they were one. It asks the partitions' owners and keeps nothing, so each
// replica gives the same answer. If one of them does not answer, no answer is given (ErrApart). It is safe for concurrent use.
//
// The usage of a service is in one partition. Only what was reported by another name of the service, before its id was known, may be
// in a second one: its rows come twice then, unless days or services are summed up.
type Joint struct{ o JointOptions }

// NewJoint returns the ledgers of some partitions as one.
func NewJoint(o JointOptions) *Joint { return &Joint{o} }

// ServeHTTP answers GET /api/v1/ledger.
func (j *Joint) ServeHTTP(w http.ResponseWriter, r *http.Request) { serve(j, w, r) }

// ask asks one partition.
func (j *Joint) ask(partition int, q *question) (*reply, error) {
	data, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), jointTime)
	defer cancel()
	answer, err := j.o.Ask(ctx, partition, data)
	var r reply
	if err == nil {
		err = json.Unmarshal(answer, &r)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: partition %d: %w", ErrApart, partition, err)
	case r.TooMany:
		return nil, ErrTooMany
	case r.Error != "":
		return nil, fmt.Errorf("%w: partition %d: %s", ErrApart, partition, r.Error)
	}
	return &r, nil
}

// askAll asks all partitions at once, and calls take with each answer, in order.
func (j *Joint) askAll(q *question, take func(partition int, r *reply) error) error {
	replies, errs := make([]*reply, j.o.Partitions), make([]error, j.o.Partitions)
	var asking sync.WaitGroup
	for p := range replies {
		asking.Go(func() { replies[p], errs[p] = j.ask(p, q) }) // ends after jointTime
	}
	asking.Wait()
	for p, r := range replies {
		err := errs[p]
		if err == nil {
			err = take(p, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// names returns the names in the answers of all partitions, sorted.
func (j *Joint) names(q *question) ([]string, error) {
	all := make(map[string]bool)
	err := j.askAll(q, func(_ int, r *reply) error {
		for _, name := range r.Names {
			all[name] = true
		}
		return nil
	})
	return slices.Sorted(maps.Keys(all)), err
}

// Services returns the services with figures since a day, sorted.
func (j *Joint) Services(since time.Time) ([]string, error) {
	return j.names(&question{Kind: askServices, Since: since})
}

// Applications returns the applications of a service with figures since a day, sorted.
func (j *Joint) Applications(service string, since time.Time) ([]string, error) {
	return j.names(&question{Kind: askApplications, Service: service, Since: since})
}

// ApplicationIDs returns, for each name, the id of the application that a partition knows for it, or the name itself. It asks only
// about names of user keys.
func (j *Joint) ApplicationIDs(service string, names []string) ([]string, error) {
	ids := slices.Clone(names)
	var asked []int
	for i, name := range names {
		if IsUserKey(name) {
			asked = append(asked, i)
		}
	}
	for some := range slices.Chunk(asked, idsAtOnce) {
		q := &question{Kind: askIDs, Service: service}
		for _, i := range some {
			q.Names = append(q.Names, names[i])
		}
		err := j.askAll(q, func(partition int, r *reply) error {
			if len(r.Names) != len(some) {
				return fmt.Errorf("%w: partition %d: %d names for %d", ErrApart, partition, len(r.Names), len(some))
			}
			for n, i := range some {
				if ids[i] == names[i] {
					ids[i] = r.Names[n]
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// Parents returns the parent of each method of a service, as far as a partition knows it.
func (j *Joint) Parents(service string) (map[string]string, error) {
	all := make(map[string]string)
	err := j.askAll(&question{Kind: askParents, Service: service}, func(_ int, r *reply) error {
		maps.Copy(all, r.Parents)
		return nil
	})
	return all, err
}

// Reach returns what the figures of all partitions contain.
func (j *Joint) Reach() (all Reach, err error) {
	err = j.askAll(&question{Kind: askReach}, func(_ int, r *reply) error {
		if e := r.Reach.Earliest; !e.IsZero() && (all.Earliest.IsZero() || e.Before(all.Earliest)) {
			all.Earliest = e
		}
		all.Missed, all.Receipts = all.Missed || r.Reach.Missed, all.Receipts || r.Reach.Receipts
		return nil
	})
	return all, err
}

// Batches calls each with the evidence of batches, partition after partition. Each partition numbers its own batches, so an id begins
// with its partition.
func (j *Joint) Batches(service string, since time.Time, each func(*BatchRecord) error) error {
	for p := range j.o.Partitions {
		q := &question{Kind: askBatches, Service: service, Since: since}
		for {
			r, err := j.ask(p, q)
			if err != nil {
				return err
			}
			for _, b := range r.Batches {
				b.ID = fmt.Sprintf("%d.%s", p, b.ID)
				if err := each(b); err != nil {
					return err
				}
			}
			if q.From = r.From; q.From == nil {
				break
			}
		}
	}
	return nil
}

// Rows calls each with the rows of the answer: by day, and within a day partition after partition; or, if days are summed up to months,
// or services are summed up, by time, service, application and metric.
func (j *Joint) Rows(q Query, each func(*Row) error) error {
	if q.summed() {
		return j.sums(q, each)
	}
	m := merging{joint: j, query: q, parts: make([]side, j.o.Partitions)}
	for p := range m.parts {
		m.parts[p].begin(p, q.after)
	}
	for {
		r, err := m.next()
		if r == nil || err != nil {
			return err
		}
		if err := each(r); err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
	}
}

// sums adds up the sums of all partitions.
func (j *Joint) sums(q Query, each func(*Row) error) error {
	type key struct {
		at                   int64
		service, app, metric string
	}
	all := make(map[key]Figures)
	err := j.askAll(&question{Kind: askRows, Query: q}, func(_ int, r *reply) error {
		for i := range r.Rows {
			row := r.Rows[i].row()
			k := key{r.Rows[i].At, row.ServiceID, row.AppID, row.Metric}
			all[k] = all[k].plus(row.Figures)
		}
		if len(all) > MaxSums {
			return ErrTooMany
		}
		return nil
	})
	if err != nil {
		return err
	}
	order := slices.SortedFunc(maps.Keys(all), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.service, b.service), cmp.Compare(a.app, b.app), cmp.Compare(a.metric, b.metric))
	})
	for _, k := range order {
		r := Row{Time: time.Unix(k.at, 0).UTC(), ServiceID: k.service, AppID: k.app, Metric: k.metric, Figures: all[k]}
		if err := each(&r); err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
	}
	return nil
}

// merging reads the rows of all partitions, by day.
type merging struct {
	joint *Joint
	query Query
	parts []side
}

// side is how far the rows of one partition are read.
type side struct {
	rows     []wireRow // not passed on yet
	after    *place
	done     bool   // there are no more than rows
	instance uint64 // that gave the places; 0: any
	moves    uint64
	read     bool // moves is known
}

// begin sets where the rows of a partition begin, behind the last row of a page. Partitions before the one of that row have given all
// of its day.
func (s *side) begin(partition int, after *position) {
	switch {
	case after == nil:
	case partition < after.partition:
		s.after = newPlace(&position{row: row{day: after.day + 1}, time: -1})
	case partition > after.partition:
		s.after = newPlace(&position{row: row{day: after.day}, time: -1})
	default:
		s.after, s.instance = newPlace(after), max(after.instance, 1)
	}
}

// next returns the next row; nil: there is none.
func (m *merging) next() (*Row, error) {
	if err := m.fill(); err != nil {
		return nil, err
	}
	first := -1
	for p := range m.parts {
		if rows := m.parts[p].rows; len(rows) > 0 && (first < 0 || rows[0].Place[0] < m.parts[first].rows[0].Place[0]) {
			first = p
		}
	}
	if first < 0 {
		return nil, nil
	}
	s := &m.parts[first]
	r := s.rows[0].row()
	s.rows = s.rows[1:]
	r.at.partition, r.at.instance = first, s.instance
	return &r, nil
}

// fill reads on where no row is left, until every partition has one or is at its end.
func (m *merging) fill() error {
	var asking sync.WaitGroup
	errs := make([]error, len(m.parts))
	for p := range m.parts {
		if s := &m.parts[p]; len(s.rows) == 0 && !s.done {
			asking.Go(func() { errs[p] = m.read(p, s) }) // ends after jointTime for each question
		}
	}
	asking.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// read reads the next rows of a partition. It fails if the places of the rows before are not valid any more.
func (m *merging) read(p int, s *side) error {
	limit := questionRows
	if m.query.most > 0 {
		limit = min(limit, m.query.most)
	}
	for len(s.rows) == 0 && !s.done {
		r, err := m.joint.ask(p, &question{Kind: askRows, Query: m.query, After: s.after, Limit: limit})
		if err != nil {
			return err
		}
		switch {
		case s.instance == 0 || s.instance == r.Instance && (!s.read || s.moves == r.Moves):
		case s.read:
			return fmt.Errorf("%w: partition %d: %w", ErrApart, p, errMoved)
		default:
			return fmt.Errorf("%w: partition %d", errCursor, p)
		}
		for i := range r.Rows {
			if r.Rows[i].Place == nil {
				return fmt.Errorf("%w: partition %d: a row without a place", ErrApart, p)
			}
		}
		s.rows, s.after, s.done, s.instance, s.moves, s.read = r.Rows, r.After, r.After == nil, r.Instance, r.Moves, true
	}
	return nil
}
