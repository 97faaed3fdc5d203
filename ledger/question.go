package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// question is what a replica asks the ledger of a partition, in JSON. Unknown fields are ignored, and a kind that is not known is an
// error.
type question struct {
	Kind    string    `json:"kind"`
	Query   Query     `json:"query,omitzero"`
	After   *place    `json:"after,omitempty"` // of rows
	From    []byte    `json:"from,omitempty"`  // of batches: the key of the next one
	Limit   int       `json:"limit,omitempty"` // of rows
	Service string    `json:"service,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Names   []string  `json:"names,omitempty"`
}

// The kinds of questions.
const (
	askRows         = "rows"
	askBatches      = "batches"
	askServices     = "services"
	askApplications = "applications"
	askIDs          = "ids"
	askParents      = "parents"
	askReach        = "reach"
)

// reply is the answer to a question. Instance and Moves say whether the numbers in a place, and the rows before it, are still the same.
type reply struct {
	Instance uint64            `json:"instance"`
	Moves    uint64            `json:"moves"`
	Rows     []wireRow         `json:"rows,omitempty"`
	Batches  []*BatchRecord    `json:"batches,omitempty"`
	After    *place            `json:"after,omitempty"` // there may be more rows
	From     []byte            `json:"from,omitempty"`  // there may be more batches
	Names    []string          `json:"names,omitempty"`
	Parents  map[string]string `json:"parents,omitempty"`
	Reach    Reach             `json:"reach,omitzero"`

	Error   string `json:"error,omitempty"`
	TooMany bool   `json:"too_many,omitempty"` // the error is ErrTooMany
}

// place is a position in JSON: day, service, application, metric and time.
type place [5]int64

func newPlace(p *position) *place {
	return &place{int64(p.day), int64(p.service), int64(p.app), int64(p.metric), p.time}
}

func (p *place) position() *position {
	return &position{row: row{uint32(p[0]), uint32(p[1]), uint32(p[2])}, metric: uint32(p[3]), time: p[4]}
}

// wireRow is a Row in JSON.
type wireRow struct {
	At        int64     `json:"t"` // Unix seconds
	ServiceID string    `json:"s,omitempty"`
	AppID     string    `json:"a,omitempty"`
	Metric    string    `json:"m,omitempty"`
	Figures   [10]int64 `json:"f"`
	Place     *place    `json:"p"`
}

func newWireRow(r *Row) wireRow {
	f := &r.Figures
	return wireRow{
		r.Time.Unix(), r.ServiceID, r.AppID, r.Metric,
		[10]int64{f.Accepted, f.Delivered, f.Ambiguous, f.Dead, f.Restamped, f.Lost, f.Partial, f.Double, f.Unconfirmed, f.Sent}, newPlace(&r.at),
	}
}

func (r *wireRow) row() Row {
	f := &r.Figures
	out := Row{Time: time.Unix(r.At, 0).UTC(), ServiceID: r.ServiceID, AppID: r.AppID, Metric: r.Metric}
	out.Figures = Figures{
		Accepted: f[0], Delivered: f[1], Ambiguous: f[2], Dead: f[3], Restamped: f[4], Lost: f[5], Partial: f[6], Double: f[7], Unconfirmed: f[8], Sent: f[9],
	}
	if r.Place != nil {
		out.at = *r.Place.position()
	}
	return out
}

const (
	// questionRows limits the rows of one answer that are not summed up, and questionTime how long one looks for rows.
	questionRows = 5000
	questionTime = 2 * time.Second
)

// Answer answers a question of a Joint, which may be on another machine. An error of the ledger is in the answer. A question takes
// two seconds at most, or, where days or services are summed up, as long as reading them all.
func (l *Ledger) Answer(data []byte) ([]byte, error) {
	var q question
	if err := json.Unmarshal(data, &q); err != nil {
		return nil, fmt.Errorf("ledger: question: %w", err)
	}
	out, err := l.reply(&q)
	if err != nil {
		out = &reply{Error: err.Error(), TooMany: errors.Is(err, ErrTooMany)}
	}
	return json.Marshal(out)
}

func (l *Ledger) reply(q *question) (out *reply, err error) {
	out = &reply{Instance: l.instance.Load(), Moves: l.moves.Load()}
	switch q.Kind {
	case askRows:
		err = l.replyRows(q, out)
	case askBatches:
		from := q.From
		if from == nil {
			from = batchKey(q.Since.Unix(), "")
		}
		err = l.answer(func(tx *bbolt.Tx) (err error) {
			out.Batches, out.From, err = batchPage(tx, q.Service, from)
			return err
		})
	case askServices:
		out.Names, err = l.Services(q.Since)
	case askApplications:
		out.Names, err = l.Applications(q.Service, q.Since)
	case askIDs:
		out.Names, err = l.ApplicationIDs(q.Service, q.Names)
	case askParents:
		out.Parents, err = l.Parents(q.Service)
	case askReach:
		if err = l.readable(); err == nil {
			out.Reach, err = l.Reach()
		}
	default:
		err = fmt.Errorf("ledger: question %q: unknown kind: do all replicas have the same version?", q.Kind)
	}
	return out, err
}

// replyRows reads rows until there are enough, or time is up.
func (l *Ledger) replyRows(q *question, out *reply) error {
	limit, query := min(max(q.Limit, 1), questionRows), q.Query
	if query.most = limit; q.After != nil {
		query.after = q.After.position()
	}
	s := l.newSearch(query)
	sent := l.sentUsage()
	l.paging.RLock()
	defer l.paging.RUnlock()
	out.Instance, out.Moves = l.instance.Load(), l.moves.Load() // no row moves meanwhile
	for end := time.Now().Add(questionTime); ; {
		more, err := s.readPage(sent)
		if err != nil {
			return err
		}
		for i := range s.page {
			out.Rows = append(out.Rows, newWireRow(&s.page[i]))
		}
		if !more {
			return nil
		}
		if s.sums == nil && (len(out.Rows) >= limit || time.Now().After(end)) {
			out.After = newPlace(s.after)
			return nil
		}
	}
}
