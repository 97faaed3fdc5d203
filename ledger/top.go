package ledger

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// TopQuery asks which applications of a service used a metric most, its methods included.
type TopQuery struct {
	ServiceID, Metric string    // both have to be given
	Figure            string    // accepted, pending, dead, ambiguous, or delivered, which is also the zero value
	Since, Until      time.Time // Until is exclusive; whole hours, UTC; both have to be given
	Most              int       // applications; 0: all
}

// Total is what an application used.
type Total struct {
	AppID string
	Value int64
}

var errTopQuery = errors.New("ledger: top: a service, a metric and a range are needed")

// named returns one of the figures.
func (f *Figures) named(name string) int64 {
	switch name {
	case "accepted":
		return f.Accepted
	case "pending":
		return f.Pending()
	case "dead":
		return f.Dead
	case "ambiguous":
		return f.Ambiguous
	}
	return f.Delivered
}

// totals are sums by application, by its number.
type totals struct {
	figure string
	values []int64
}

func (t *totals) add(app uint32, f *Figures) {
	t.reach(app)
	t.values[app] += f.named(t.figure)
}

// reach makes room for an application.
func (t *totals) reach(app uint32) {
	if int(app) >= len(t.values) {
		t.values = append(t.values, make([]int64, max(1024, int(app)+1-len(t.values)))...)
	}
}

// mostKeptTotals limits how many sums over day files are kept, each 8 bytes for each application.
const mostKeptTotals = 8

// keptTotals are sums over day files, by what they are of. They are for one generation of the files.
type keptTotals struct {
	generation uint64
	values     map[string][]int64
}

// Top returns the applications with the most usage in a range, the highest first, those alike by name, without those that have none.
//
// Days that are over are read from their files, a part of a millisecond for 100,000 applications, if they have one and are in the
// range as a whole. Other hours are read from the database, in pages as by Rows: half a microsecond for each application and day.
func (l *Ledger) Top(q TopQuery) ([]Total, error) {
	if q.ServiceID == "" || q.Metric == "" || q.Since.IsZero() || q.Until.IsZero() {
		return nil, errTopQuery
	}
	l.paging.RLock()
	defer l.paging.RUnlock()
	t := &topSearch{TopQuery: q, ledger: l, totals: totals{figure: cmp.Or(q.Figure, "delivered")}}
	if err := t.read(); err != nil {
		return nil, err
	}
	var found []Total
	err := l.answer(func(tx *bbolt.Tx) error {
		names := texts{tx: tx, known: make(map[uint32]string)}
		least := t.least()
		for app, v := range t.values {
			if app != 0 && v >= least && v != 0 {
				found = append(found, Total{names.text(nameApplication, uint32(app)), v})
			}
		}
		return nil
	})
	return ranked(found, q.Most), err
}

// topSearch is the state of one Top.
type topSearch struct {
	TopQuery
	totals
	ledger  *Ledger
	scanned int // rows of the database that were read
}

// read adds up the range: first all days with files, then the hours between them.
func (t *topSearch) read() error {
	from, until := t.Since.Unix(), t.Until.Unix()
	generation := t.ledger.days.now()
	var whole []uint32
	for day := dayOf(t.Since.Add(24*time.Hour - time.Second)); int64(day+1)*86400 <= until; day++ {
		if t.ledger.days.has(day) {
			whole = append(whole, day)
		}
	}
	done, err := t.files(whole, generation)
	if err != nil {
		return err
	}
	for _, day := range done {
		if err := t.hours(from, int64(day)*86400); err != nil {
			return err
		}
		from = int64(day+1) * 86400
	}
	return t.hours(from, until)
}

// now returns the generation of the files.
func (d *days) now() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.generation
}

// hours adds up hours from the database.
func (t *topSearch) hours(from, until int64) error {
	if from >= until {
		return nil
	}
	s := t.ledger.newSearch(Query{ServiceID: t.ServiceID, Metric: t.Metric, Since: time.Unix(from, 0).UTC(), Until: time.Unix(until, 0).UTC(), By: ByDay})
	s.totals = &t.totals
	for more := true; more; {
		var err error
		if more, err = s.readPage(nil); err != nil {
			return err
		}
		t.scanned += s.scanned
	}
	return nil
}

// files adds up days from their files, and returns those whose files agree with the database.
func (t *topSearch) files(whole []uint32, generation uint64) (done []uint32, err error) {
	if len(whole) == 0 {
		return nil, nil
	}
	var key string
	var service uint32
	counts := make(map[uint32]bool) // metrics
	s := t.ledger.newSearch(Query{Metric: t.Metric})
	err = t.ledger.answer(func(tx *bbolt.Tx) error {
		s.tx, s.texts.tx = tx, tx
		service = find(tx, nameService, t.ServiceID)
		if s.metric = find(tx, nameMetric, t.Metric); s.metric == 0 {
			s.metric = unnumbered
		}
		return nil
	})
	if err != nil || service == 0 {
		return nil, err
	}
	key = fmt.Sprint(service, t.figure, whole, t.ledger.parentsKey(t.ServiceID), s.metric, t.Metric)
	if values, ok := t.ledger.days.keptOf(key, generation); ok {
		t.values = slices.Clone(values)
		return whole, nil
	}
	for _, day := range whole {
		ok := false
		err := t.ledger.answer(func(tx *bbolt.Tx) (err error) {
			s.tx, s.texts.tx = tx, tx
			ok, err = t.file(s, counts, service, day)
			return err
		})
		if err != nil {
			return nil, err
		}
		if ok {
			done = append(done, day)
		}
	}
	if len(done) == len(whole) {
		t.ledger.days.keep(key, generation, slices.Clone(t.values))
	}
	return done, nil
}

// parentsKey says which parents methods have.
func (l *Ledger) parentsKey(service string) string {
	if l.options.Parents == nil {
		return ""
	}
	var b strings.Builder
	parents := l.options.Parents(service)
	names := make([]string, 0, len(parents))
	for method, parent := range parents {
		names = append(names, fmt.Sprintf("%q%q", method, parent))
	}
	slices.Sort(names)
	for _, name := range names {
		b.WriteString(name)
	}
	return b.String()
}

func (d *days) keptOf(key string, generation uint64) ([]int64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept.generation != generation || d.generation != generation {
		return nil, false
	}
	values, ok := d.kept.values[key]
	return values, ok
}

func (d *days) keep(key string, generation uint64, values []int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.generation != generation {
		return
	}
	if d.kept.generation != generation || len(d.kept.values) >= mostKeptTotals {
		d.kept = keptTotals{generation: generation, values: make(map[string][]int64)}
	}
	if d.kept.values == nil {
		d.kept.values = make(map[string][]int64)
	}
	d.kept.values[key] = values
}

// file adds up a day from its file. It reports false, and adds nothing, if there is none that can be used.
func (t *topSearch) file(s *search, counts map[uint32]bool, service, day uint32) (bool, error) {
	file, err := os.Open(t.ledger.days.path(day))
	if err != nil {
		return false, nil // it was removed: the day has changed
	}
	defer func() { _ = file.Close() }()
	r, err := readDay(file)
	if err != nil || r.day != day {
		return false, nil // the database has the same figures
	}
	columns, err := r.service(service)
	if err != nil {
		return false, nil // the same
	}
	stored, err := t.together(s.tx, row{day: day, service: service})
	if err != nil {
		return false, err
	}
	if len(stored) != len(columns) {
		return false, nil
	}
	var data [][]byte
	for _, c := range columns {
		if stored[c.metric] != c.all {
			return false, nil
		}
		counted, known := counts[c.metric]
		if !known {
			counted = s.counts(service, c.metric)
			counts[c.metric] = counted
		}
		if !counted {
			continue
		}
		one, err := r.load(c)
		if err != nil {
			return false, nil // the same
		}
		data = append(data, one)
	}
	for _, one := range data {
		if err := t.addColumn(one); err != nil {
			return false, err // its checksum held: it was written like this
		}
	}
	return true, nil
}

// counts reports whether a metric is the one that is asked for, or a method below it.
func (s *search) counts(service, metric uint32) bool {
	for steps := 0; metric != 0 && steps < 16; steps++ {
		if metric == s.metric {
			return true
		}
		metric = s.parent(service, metric)
	}
	return false
}

// together is what the database says of all applications of a service on a day, by metric.
func (t *topSearch) together(tx *bbolt.Tx, r row) (map[uint32]Figures, error) {
	now, err := readState(tx)
	if err != nil {
		return nil, err
	}
	key := r.key()
	all := make(map[uint32]Figures)
	plain, err := unseal(key, tx.Bucket(bucketDays).Get(key), now.sealed)
	if err == nil {
		err = eachOfDay(plain, func(metric uint32, f *Figures) { all[metric] = *f })
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return all, nil
}

// least is the value of the last application of the answer; those alike are in question, too.
func (t *topSearch) least() int64 {
	if t.Most <= 0 {
		return -1 << 63
	}
	var top lowest
	for app, v := range t.values {
		switch {
		case app == 0 || v == 0:
		case len(top) < t.Most:
			heap.Push(&top, v)
		case v > top[0]:
			top[0] = v
			heap.Fix(&top, 0)
		}
	}
	if len(top) < t.Most {
		return -1 << 63
	}
	return top[0]
}

// lowest is a heap of the greatest values, the lowest of them first.
type lowest []int64

func (h lowest) Len() int           { return len(h) }
func (h lowest) Less(i, j int) bool { return h[i] < h[j] }
func (h lowest) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lowest) Push(x any)        { *h = append(*h, x.(int64)) }
func (h *lowest) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// Top returns the applications with the most usage, out of the rows of all partitions.
func (j *Joint) Top(q TopQuery) ([]Total, error) {
	sums := make(map[string]int64)
	err := j.Rows(Query{ServiceID: q.ServiceID, Metric: q.Metric, Since: q.Since, Until: q.Until, By: ByDay}, func(r *Row) error {
		sums[r.AppID] += r.named(q.Figure)
		return nil
	})
	if err != nil {
		return nil, err
	}
	found := make([]Total, 0, len(sums))
	for app, v := range sums {
		if v != 0 {
			found = append(found, Total{app, v})
		}
	}
	return ranked(found, q.Most), nil
}

// ranked sorts applications, and returns the first.
func ranked(found []Total, most int) []Total {
	slices.SortFunc(found, func(a, b Total) int { return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.AppID, b.AppID)) })
	if most > 0 {
		found = found[:min(most, len(found))]
	}
	return found
}
