package ledger

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// By is the length of the time span of a row.
type By string

// The lengths of time spans.
const (
	ByHour  By = "hour"
	ByDay   By = "day"
	ByMonth By = "month"
)

// MaxSums limits the rows of an answer that has to be summed up in memory.
const MaxSums = 200_000

// unnumbered and the numbers above it stand for metrics without a number: no report named them, only their methods.
const unnumbered = uint32(1) << 31

// ErrTooMany is returned for a query whose answer would have more than MaxSums rows.
var ErrTooMany = errors.New("too many rows: ask for less time, one service, or without applications")

// Query selects rows. Zero fields select everything.
type Query struct {
	ServiceID, AppID, Metric string
	Since, Until             time.Time // Until is exclusive; whole hours, UTC
	By                       By        // zero: ByHour
	Raw                      bool      // do not add methods to their parents

	// Columns that are summed up, so that rows do not have them.
	AllServices, AllApplications, AllMetrics bool

	after *position // rows up to here are left out; not used for summed rows
	most  int       // rows that are read in one transaction; 0: pageRows
}

// summed reports whether rows of several days or services are added up.
func (q *Query) summed() bool { return q.By == ByMonth || q.AllServices }

// position is the position of a row: numbers of the database, and Unix seconds.
type position struct {
	row
	metric uint32
	time   int64

	partition int    // of a Joint's row
	instance  uint64 // of the ledger that gave the numbers; 0: it is not a Joint's row
}

// Row contains the figures of a service, an application and a metric, in the hour, day or month that begins at Time (UTC).
type Row struct {
	Time                     time.Time
	ServiceID, AppID, Metric string
	Figures

	at position
}

// Rows calls each with the rows of the answer: by day, service, application, metric and time, or by time first if days are summed
// up to months, or services are summed up. It ends early with each's error.
//
// No transaction of the database is open while each runs, so a slow reader delays neither booking nor other readers. Rows are
// read in pages, each page in one transaction, and each page begins after the last row of the previous one. What is booked
// between two pages may therefore be visible in the later page only. No row comes twice and none is left out, since rows keep
// their order, and none moves to another application meanwhile.
func (l *Ledger) Rows(q Query, each func(*Row) error) error {
	s := l.newSearch(q)
	sent := l.sentUsage()
	l.paging.RLock()
	defer l.paging.RUnlock()
	for more := true; more; {
		var err error
		if more, err = s.readPage(sent); err != nil {
			return err
		}
		for i := range s.page {
			if err := each(&s.page[i]); err != nil {
				return fmt.Errorf("ledger: %w", err)
			}
		}
	}
	return nil
}

const (
	// pageRows and scanRows limit what one transaction of the database reads: rows of the answer, and rows of the database.
	pageRows = 10_000
	scanRows = 20_000
)

// errPause ends one transaction of a query; after is the position at which the next one begins.
var errPause = errors.New("the page is full")

func (s *search) run() error {
	now, err := readState(s.tx)
	if err != nil {
		return err
	}
	s.strict = now.sealed
	var service, app uint32
	if s.ServiceID != "" {
		if service = find(s.tx, nameService, s.ServiceID); service == 0 {
			return nil
		}
	}
	if s.AppID != "" {
		if app = findApplication(s.tx, service, s.AppID); app == 0 {
			return nil
		}
	}
	if s.Metric != "" {
		if s.metric = find(s.tx, nameMetric, s.Metric); s.metric == 0 {
			s.metric = unnumbered // it may be the parent of metrics with a number
		}
	}
	if err := s.scan(service, app); err != nil {
		return err
	}
	return s.emitSums()
}

// scan visits the rows of the days. If the query does not ask for applications, it reads the rows of all applications together.
func (s *search) scan(service, app uint32) error {
	c := s.tx.Bucket(bucketDays).Cursor()
	first, last := uint32(0), uint32(1<<31)
	if !s.Since.IsZero() {
		first = uint32(max(0, s.Since.Unix()/86400))
	}
	if !s.Until.IsZero() {
		last = uint32(max(0, (s.Until.Unix()-1)/86400))
	}
	seek := row{day: first, service: service, app: app}
	if s.after != nil && slices.Compare(s.after.key(), seek.key()) > 0 {
		seek = s.after.row
	}
	for k, v := c.Seek(seek.key()); k != nil; {
		r := row{binary.BigEndian.Uint32(k), binary.BigEndian.Uint32(k[4:]), binary.BigEndian.Uint32(k[8:])}
		if r.day > last {
			return nil
		}
		next, skip := s.seekNext(r, service, app)
		if skip {
			k, v = c.Seek(next.key())
			continue
		}
		if s.scanned++; s.scanned > scanRows {
			s.after = &position{row: r, time: -1} // before the first of its cells
			return errPause
		}
		plain, err := unseal(k, v, s.strict)
		if err == nil {
			err = s.row(r, plain)
		}
		if errors.Is(err, errSum) || errors.Is(err, errCells) {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		if err != nil {
			return err
		}
		if s.AppID != "" || s.AllApplications {
			next = row{r.day, r.service + 1, app}
			if service != 0 {
				next = row{r.day + 1, service, app}
			}
			k, v = c.Seek(next.key())
			continue
		}
		k, v = c.Next()
	}
	return nil
}

// seekNext returns the next row that the query needs, if it is not this one.
func (s *search) seekNext(r row, service, app uint32) (next row, skip bool) {
	switch {
	case service != 0 && r.service < service:
		return row{r.day, service, app}, true
	case service != 0 && r.service > service:
		return row{r.day + 1, service, app}, true
	case s.AppID != "" && r.app < app:
		return row{r.day, r.service, app}, true
	case s.AppID != "" && r.app > app:
		return row{r.day, r.service + 1, app}, true
	case s.AppID == "" && s.AllApplications && r.app != 0:
		return row{r.day, r.service + 1, 0}, true
	case s.AppID == "" && !s.AllApplications && r.app == 0:
		return row{r.day, r.service, 1}, true
	}
	return row{}, false
}

// row adds the figures of a row of the days to the page, or to the sums.
func (s *search) row(r row, data []byte) error {
	found := &s.found
	found.all, found.greatest = found.all[:0], sum{}
	err := eachCell(data, func(c *cell) {
		at := int64(r.day)*86400 + int64(c.hour)*3600
		if !s.Since.IsZero() && at < s.Since.Unix() || !s.Until.IsZero() && at >= s.Until.Unix() {
			return
		}
		c.Sent = max(0, min(s.sent[sentKey{r, c.metric, c.hour}], c.Pending()))
		key := sum{s.truncate(at), r.service, r.app, c.metric}
		if s.AllServices {
			key.service = 0
		}
		if s.AllApplications {
			key.app = 0
		}
		for metric, steps := c.metric, 0; metric != 0 && steps < 16; steps++ {
			if s.metric == 0 || s.metric == metric {
				key.metric = metric
				if s.AllMetrics {
					key.metric = 0
				}
				if s.totals != nil {
					s.totals.add(r.app, &c.Figures)
				} else {
					found.add(key, &c.Figures)
				}
			}
			if s.Raw || s.AllMetrics {
				break
			}
			metric = s.parent(r.service, metric)
		}
	})
	if err != nil {
		return err
	}
	if s.sums == nil {
		slices.SortFunc(found.all, func(a, b figured) int { return a.sum.compare(b.sum) })
		return s.emit(r, found.all)
	}
	for i := range found.all {
		f := &found.all[i]
		all := s.sums[f.sum]
		all.add(f.Figures)
		s.sums[f.sum] = all
	}
	if len(s.sums) > MaxSums {
		return ErrTooMany
	}
	return nil
}

func (s *search) truncate(at int64) int64 {
	switch s.By {
	case ByHour:
		return at
	case ByDay:
		return at / 86400 * 86400
	default:
		t := time.Unix(at, 0).UTC()
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).Unix()
	}
}

// parent returns the parent of a method; 0: none is known.
func (s *search) parent(service, metric uint32) uint32 {
	known, ok := s.parents[service]
	if !ok {
		known = make(map[uint32]uint32)
		if s.ledger.options.Parents != nil {
			parents := s.ledger.options.Parents(s.texts.text(nameService, service))
			for _, method := range slices.Sorted(maps.Keys(parents)) { // in order, so that invented numbers are the same for every page
				known[s.number(method)] = s.number(parents[method])
			}
		}
		s.parents[service] = known
	}
	return known[metric]
}

// number returns the number of a metric. A metric without one gets one for this query.
func (s *search) number(name string) uint32 {
	if number := find(s.tx, nameMetric, name); number != 0 {
		return number
	}
	number, ok := s.invented[name]
	if !ok {
		if number = unnumbered; name != s.Metric {
			number += 1 + uint32(len(s.invented))
		}
		s.invented[name] = number
		s.texts.known[number] = name
	}
	return number
}

// emitSums adds the sums to the page, by time first.
func (s *search) emitSums() error {
	all := make([]figured, 0, len(s.sums))
	for key, f := range s.sums {
		all = append(all, figured{key, f})
	}
	slices.SortFunc(all, func(a, b figured) int { return cmp.Or(cmp.Compare(a.time, b.time), a.sum.compare(b.sum)) })
	return s.emit(row{}, all)
}

// emit adds rows to the page, those of one row of the days or all sums.
func (s *search) emit(of row, all []figured) error {
	for i := range all {
		key := &all[i].sum
		at := position{row: of, metric: key.metric, time: key.time}
		if s.after != nil && of == s.after.row && cmp.Or(cmp.Compare(at.metric, s.after.metric), cmp.Compare(at.time, s.after.time)) <= 0 {
			continue
		}
		r := Row{Time: time.Unix(key.time, 0).UTC(), Figures: all[i].Figures, at: at}
		if key.service != 0 {
			r.ServiceID = s.texts.text(nameService, key.service)
		}
		if key.app != 0 {
			r.AppID = s.texts.text(nameApplication, key.app)
		}
		if key.metric != 0 {
			r.Metric = s.texts.text(nameMetric, key.metric)
		}
		if s.page = append(s.page, r); len(s.page) >= s.most && s.sums == nil {
			s.after = &r.at
			return errPause
		}
	}
	return nil
}
