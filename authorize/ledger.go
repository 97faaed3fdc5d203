package authorize

import (
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Lane is what the transactions of one report have in common.
type Lane struct {
	ServiceID   string
	Credentials threescale.Credentials // zero: the configured ones
	FlatUsage   bool
}

// Usage is one transaction that was accepted and not delivered.
type Usage struct {
	Lane
	Transaction *threescale.Transaction
}

// Outcome says where one transaction of a report went.
type Outcome uint8

// The outcomes. A report of which nobody knows has none: Settled is not called for it.
const (
	Delivered Outcome = iota // the backend took it
	Returned                 // the backend did not take it: it will be sent again, alone or with others
	Refused                  // a dead letter
)

const shards = 64

// shard is a part of the applications that are followed.
type shard struct {
	mu           sync.Mutex // guards applications
	applications map[identity]*application
}

// ledger follows the usage that was accepted here, by application. It is empty, and costs its callers a
// load, until the first authorization is asked for.
type ledger struct {
	active  atomic.Bool // usage that is accepted or settled is followed
	loading loading     // what was accepted before
	clock   *clock
	most    int64 // applications followed

	// gate is held for reading while usage is accepted or settled, and for writing while the backlog is opened, so
	// that each bit of usage is seen by one of the two. What is in the backlog is read without it.
	gate sync.RWMutex

	shards    [shards]shard
	size      atomic.Int64 // applications
	swept     atomic.Int64 // Unix seconds of the last sweep
	untracked atomic.Uint64

	mu         sync.Mutex        // guards doubtful
	unresolved map[string][]bool // of a batch, by index: what was sent, and may be counted
}

// followed is how many applications are followed for each answer that may be remembered: usage that is
// reported must be followed, too, before anybody asks for it.
const followed = 4

func (l *ledger) init(entries int, clk *clock) {
	l.clock, l.most = clk, int64(max(entries, 1000))*followed
	l.unresolved = make(map[string][]bool)
	l.loading.done = make(chan struct{})
	l.loading.wanted = make(chan struct{})
	for i := range l.shards {
		l.shards[i].applications = make(map[identity]*application)
	}
}

// refer returns the application of an identity, a new one if need be, with one reference more.
func (l *ledger) refer(id identity, s *service) *application {
	sh := &l.shards[id.low%shards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	app := sh.applications[id]
	if app == nil {
		app = &application{service: s}
		s.used.Store(true)
		sh.applications[id] = app
		l.size.Add(1)
	}
	app.references.Add(1)
	return app
}

// find returns the application of an identity, with one reference more, or nil.
func (l *ledger) find(id identity) *application {
	sh := &l.shards[id.low%shards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	app := sh.applications[id]
	if app != nil {
		app.references.Add(1)
	}
	return app
}

// lock returns the application of a service and an identity with its mutex held, a new one if need be;
// nil when too many are followed already.
func (l *ledger) lock(services *services, service, id identity) *application {
	sh := &l.shards[id.low%shards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	app := sh.applications[id]
	if app == nil {
		if l.size.Load() >= l.most {
			l.untracked.Add(1)
			return nil
		}
		app = &application{service: services.of(service)}
		app.service.used.Store(true)
		sh.applications[id] = app
		l.size.Add(1)
	}
	app.mu.Lock()
	return app
}

// sweep forgets what can be forgotten, once in a lag.
func (l *ledger) sweep(now int64) {
	last := l.swept.Load()
	if now-last < int64(lag/time.Second) || !l.swept.CompareAndSwap(last, now) {
		return
	}
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		for id, app := range sh.applications {
			app.mu.Lock()
			if app.idleLocked(now) {
				app.gone = true
				delete(sh.applications, id)
				l.size.Add(-1)
			}
			app.mu.Unlock()
		}
		sh.mu.Unlock()
	}
}

// book applies a change to one transaction. The gate is held.
func (a *Authorizer) book(l Lane, t *threescale.Transaction, c change, now int64) {
	if app := a.enter(l, t); app != nil {
		defer app.mu.Unlock()
		app.bookLocked(t.Usage, l.FlatUsage, timeOf(t, now), c, a.ledger.clock, now)
	}
}

// enter returns the application of a transaction with its mutex held; nil if there is nothing to book.
func (a *Authorizer) enter(l Lane, t *threescale.Transaction) *application {
	if len(t.Usage) == 0 {
		return nil
	}
	id := identifyService(l.ServiceID, l.Credentials)
	return a.ledger.lock(&a.services, id, identifyApplication(id, t.Application))
}

// timeOf is the time that usage counts for, in Unix seconds.
func timeOf(t *threescale.Transaction, now int64) int64 {
	if t.Timestamp == 0 {
		return now
	}
	return t.Timestamp
}

// markUnresolved notes that a transaction of a batch may be counted, and reports whether that is new.
func (l *ledger) markUnresolved(batch string, index int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := l.unresolved[batch]
	if index < len(sent) && sent[index] {
		return false
	}
	sent = append(sent, make([]bool, max(0, index+1-len(sent)))...)
	sent[index] = true
	l.unresolved[batch] = sent
	return true
}

// clearUnresolved ends that, and returns which transactions it was about.
func (l *ledger) clearUnresolved(batch string) (sent []bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent = l.unresolved[batch]
	delete(l.unresolved, batch)
	return sent
}

// Sending is called before a report is sent, with the transactions of the batch that are in it and their
// indices there: from now on the backend may have counted them. A report that is sent again because nobody
// knows of its first time stays one.
func (a *Authorizer) Sending(batch string, l Lane, list iter.Seq2[int, *threescale.Transaction]) {
	if !a.ledger.active.Load() {
		return
	}
	a.ledger.gate.RLock()
	defer a.ledger.gate.RUnlock()
	now := time.Now().Unix()
	for i, t := range list {
		if a.ledger.markUnresolved(batch, i) {
			a.book(l, t, send, now)
		}
	}
}

// Settled is called once it is known, and recorded, what became of the transactions of a batch, with all of
// them in their order, sent or not.
func (a *Authorizer) Settled(batch string, l Lane, list iter.Seq2[*threescale.Transaction, Outcome]) {
	if !a.ledger.active.Load() {
		return
	}
	a.ledger.gate.RLock()
	defer a.ledger.gate.RUnlock()
	now := time.Now().Unix()
	a.claim(batch, l, list, now)
	sent := a.ledger.clearUnresolved(batch)
	i := 0
	for t, o := range list {
		doubted := i < len(sent) && sent[i]
		i++
		switch {
		case o == Delivered && doubted: // at once: between two changes it would be taken for others' usage
			a.book(l, t, deliver, now)
			continue
		case doubted:
			a.book(l, t, unsend, now)
		}
		switch {
		case o == Refused:
			a.book(l, t, withdraw, now)
		case o == Delivered && sent != nil: // else it was sent before anybody followed
			a.book(l, t, count, now)
		}
	}
	a.ledger.sweep(now)
}

// Requeue calls do, which makes usage pending again that was refused, and counts what do returns: together, so
// that Follow sees all of it or nothing.
func (a *Authorizer) Requeue(do func() []Usage) {
	a.ledger.gate.RLock()
	defer a.ledger.gate.RUnlock()
	list := do()
	if !a.ledger.active.Load() {
		return
	}
	now := time.Now().Unix()
	for i := range list {
		a.book(list[i].Lane, list[i].Transaction, accept, now)
	}
}
