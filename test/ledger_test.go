package test

import (
	"maps"
	"sync"
)

// key names one counter of the backend.
type key struct{ service, app, metric string }

// tally is values by counter.
type tally map[key]uint64

// parents is the metric hierarchy of the sandbox's services: what a child counts, its parents count too.
var parents = map[string]string{"search": "hits", "search_deep": "search", "other": "hits"}

// count adds a value to a metric and to those above it.
func (t tally) count(service, app, metric string, value uint64) {
	for ; metric != ""; metric = parents[metric] {
		t[key{service, app, metric}] += value
	}
}

// add adds all of another tally.
func (t tally) add(other tally) {
	for k, v := range other {
		t[k] += v
	}
}

// subtract takes all of another tally away; counters at zero go.
func (t tally) subtract(other tally) {
	for k, v := range other {
		if t[k] -= v; t[k] == 0 {
			delete(t, k)
		}
	}
}

// counters turns the sandbox's answer into a tally.
func (u usage) counters() tally {
	t := tally{}
	for service, apps := range u {
		for app, metrics := range apps {
			for metric, value := range metrics {
				if value > 0 {
					t[key{service, app, metric}] += value
				}
			}
		}
	}
	return t
}

// ledger is what the producers know about what they sent.
type ledger struct {
	mu       sync.Mutex // guards what follows
	kept     book       // answered with 202
	doubted  book       // sent, and the answer never came: may have been kept
	refused  int        // requests refused: nothing of them was kept
	problems []string   // answers nobody should ever get
}

// book is one column of the ledger.
type book struct {
	requests, events int
	usage            tally
}

func newLedger() *ledger {
	return &ledger{kept: book{usage: tally{}}, doubted: book{usage: tally{}}}
}

// keep books a request that was acknowledged.
func (l *ledger) keep(r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept.enter(r)
}

// doubt books a request whose answer never came.
func (l *ledger) doubt(r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubted.enter(r)
}

// settle moves a request from doubt to kept: its ids were recognised, or it was taken at last.
func (l *ledger) settle(r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubted.requests--
	l.doubted.events -= r.events
	l.doubted.usage.subtract(r.usage)
	l.kept.enter(r)
}

func (b *book) enter(r *request) {
	b.requests++
	b.events += r.events
	b.usage.add(r.usage)
}

// refuse books a request of which nothing was taken.
func (l *ledger) refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused++
}

// complain books an answer that breaks the contract.
func (l *ledger) complain(problem string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problems = append(l.problems, problem)
}

// snapshot returns a copy that nobody writes to.
func (l *ledger) snapshot() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &ledger{kept: l.kept, doubted: l.doubted, refused: l.refused, problems: append([]string(nil), l.problems...)}
	s.kept.usage, s.doubted.usage = maps.Clone(l.kept.usage), maps.Clone(l.doubted.usage)
	return s
}
