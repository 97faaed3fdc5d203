package quota

import (
	"iter"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

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

// The outcomes. A report whose outcome is unknown has none: Settled is not called for it.
const (
	Delivered Outcome = iota // the backend took it
	Returned                 // the backend did not take it: it will be sent again, alone or in another report
	Refused                  // a dead letter
)

// Options are what a Tracker is made of.
type Options struct {
	Applications int         // followed at most
	Journal      Journal     // where accepted events become durable
	Log          *zap.Logger // nil: none

	// Pending, when not nil, opens what was accepted and not delivered by now. It is called once, while no usage is accepted or
	// settled, and must return soon. See Follow.
	Pending func() Backlog
}

const shards = 64

// shard is a part of the applications that are followed.
type shard struct {
	mu           sync.Mutex // guards applications
	applications map[ID]*Application
}

// Tracker follows the usage that was accepted here, by application. It is empty, and costs its callers one load, until the
// first authorization is asked for. Any number of goroutines may use one. It owns no goroutine.
type Tracker struct {
	log      *zap.Logger
	journal  Journal
	pending  func() Backlog
	most     int64 // applications followed
	clock    clock
	services services

	active  atomic.Bool // usage that is accepted or settled is followed
	loading loading     // what was accepted before

	// gate is held for reading while usage is accepted or settled, and for writing while the backlog is opened, so that each
	// bit of usage is seen by one of the two. What is in the backlog is read without it.
	gate sync.RWMutex

	shards    [shards]shard
	size      atomic.Int64 // applications
	swept     atomic.Int64 // Unix seconds of the last sweep
	untracked atomic.Uint64

	retain          atomic.Int64  // seconds for which deliveries are remembered that the backend's counters may lack
	unseenForgotten atomic.Uint64 // applications of which such deliveries were forgotten, for want of room

	mu         sync.Mutex        // guards unresolved
	unresolved map[string][]bool // of a batch, by index: what was sent, and may be counted
}

// New returns a Tracker that follows nothing yet.
func New(o Options) *Tracker {
	t := &Tracker{log: o.Log, journal: o.Journal, pending: o.Pending, most: int64(o.Applications)}
	if t.log == nil {
		t.log = zap.NewNop()
	}
	t.retain.Store(forever)
	t.services.byID = make(map[ID]*Service)
	t.unresolved = make(map[string][]bool)
	t.loading.done = make(chan struct{})
	t.loading.wanted = make(chan struct{})
	for i := range t.shards {
		t.shards[i].applications = make(map[ID]*Application)
	}
	return t
}

// Applications returns how many applications are followed.
func (t *Tracker) Applications() int { return int(t.size.Load()) }

// Untracked returns how many transactions were not followed, for want of room.
func (t *Tracker) Untracked() uint64 { return t.untracked.Load() }

// Forgotten returns how many applications were forgotten before the backend's counters showed their usage, for want of room.
func (t *Tracker) Forgotten() uint64 { return t.unseenForgotten.Load() }

// Refer returns the application of an ID, a new one if there is none, with one reference more; see Application.Release.
func (t *Tracker) Refer(id ID, s *Service) *Application {
	sh := &t.shards[id.low%shards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	app := sh.applications[id]
	if app == nil {
		app = t.addLocked(sh, id, s)
	}
	app.references.Add(1)
	return app
}

// addLocked begins to follow an application. The shard's mutex is held.
func (t *Tracker) addLocked(sh *shard, id ID, s *Service) *Application {
	app := &Application{service: s, clock: &t.clock}
	s.used.Store(true)
	sh.applications[id] = app
	t.size.Add(1)
	return app
}

// Find returns the application of an ID with one reference more, or nil.
func (t *Tracker) Find(id ID) *Application {
	sh := &t.shards[id.low%shards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	app := sh.applications[id]
	if app != nil {
		app.references.Add(1)
	}
	return app
}

// lock returns an application with its mutex held, a new one if there is none; nil when too many are followed already.
func (t *Tracker) lock(service, id ID) *Application {
	sh := &t.shards[id.low%shards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	app := sh.applications[id]
	if app == nil {
		if t.size.Load() >= t.most {
			t.untracked.Add(1)
			return nil
		}
		app = t.addLocked(sh, id, t.services.of(service))
	}
	app.mu.Lock()
	return app
}

const (
	sweepEvery = time.Minute
	// retained is the part of the applications that may be followed, of which usage that the backend's counters may still lack
	// is remembered without an answer that points there: one in retained. Beyond that it is forgotten, the oldest delivery
	// first as far as minutes tell, and counted.
	retained = 4
	// leastRetained is for how long it is remembered in any case.
	leastRetained = 2 * time.Minute
)

// Sweep forgets the applications that no answer refers to and of which the backend's counters lack nothing, once in sweepEvery.
func (t *Tracker) Sweep(at time.Time) {
	now := at.Unix()
	last := t.swept.Load()
	if now-last < int64(sweepEvery/time.Second) || !t.swept.CompareAndSwap(last, now) {
		return
	}
	waiting, kept := int64(0), t.retain.Load()
	ages := [16]int64{} // of the applications that only wait for the backend: how many, by the logarithm of the minutes
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		for id, app := range sh.applications {
			app.mu.Lock()
			switch age := now - app.lastLocked(); {
			case app.idleLocked(now):
				t.removeLocked(sh, id, app)
			case app.references.Load() > 0 || app.pendingLocked():
			case age > kept:
				t.unseenForgotten.Add(1)
				t.removeLocked(sh, id, app)
			default:
				waiting++
				ages[min(bits.Len64(uint64(max(age, 0))/60), len(ages)-1)]++
			}
			app.mu.Unlock()
		}
		sh.mu.Unlock()
	}
	t.retain.Store(retention(ages, waiting-t.most/retained))
}

// retention is for how many seconds deliveries are remembered so that at least excess applications are forgotten.
func retention(ages [16]int64, excess int64) int64 {
	if excess <= 0 {
		return forever
	}
	for n := len(ages) - 1; n > 0; n-- {
		if excess -= ages[n]; excess <= 0 || n == 1 {
			return max(int64(60)<<(n-1), int64(leastRetained/time.Second))
		}
	}
	return int64(leastRetained / time.Second)
}

// removeLocked forgets an application. The mutexes of both are held.
func (t *Tracker) removeLocked(sh *shard, id ID, app *Application) {
	app.gone = true
	delete(sh.applications, id)
	t.size.Add(-1)
}

// book applies a change to one transaction. The gate is held.
func (t *Tracker) book(l Lane, tx *threescale.Transaction, c change, now int64) {
	if app := t.lockFor(l, tx); app != nil {
		defer app.mu.Unlock()
		app.bookLocked(tx.Usage, l.FlatUsage, timeOf(tx, now), c, now)
	}
}

// lockFor returns the application of a transaction with its mutex held; nil if there is nothing to book.
func (t *Tracker) lockFor(l Lane, tx *threescale.Transaction) *Application {
	if len(tx.Usage) == 0 {
		return nil
	}
	id := IdentifyService(l.ServiceID, l.Credentials)
	return t.lock(id, IdentifyApplication(id, tx.Application))
}

// timeOf is the time that usage counts for, in Unix seconds.
func timeOf(t *threescale.Transaction, now int64) int64 {
	if t.Timestamp == 0 {
		return now
	}
	return t.Timestamp
}

// markUnresolved notes that a transaction of a batch may be counted, and reports whether that is new.
func (t *Tracker) markUnresolved(batch string, index int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	sent := t.unresolved[batch]
	if index < len(sent) && sent[index] {
		return false
	}
	sent = append(sent, make([]bool, max(0, index+1-len(sent)))...)
	sent[index] = true
	t.unresolved[batch] = sent
	return true
}

// clearUnresolved ends that, and returns which transactions it was about.
func (t *Tracker) clearUnresolved(batch string) (sent []bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sent = t.unresolved[batch]
	delete(t.unresolved, batch)
	return sent
}

// Sending is called before a report is sent, with the transactions of the batch that are in it and their indices there: from
// now on the backend may have counted them. A report that is sent again because its first outcome is unknown counts once.
func (t *Tracker) Sending(batch string, l Lane, list iter.Seq2[int, *threescale.Transaction]) {
	if !t.active.Load() {
		return
	}
	t.gate.RLock()
	defer t.gate.RUnlock()
	now := time.Now().Unix()
	for i, tx := range list {
		if t.markUnresolved(batch, i) {
			t.book(l, tx, send, now)
		}
	}
}

// Settled is called once the outcome of a batch is known and recorded, with all of its transactions in their order, sent or
// not.
func (t *Tracker) Settled(batch string, l Lane, list iter.Seq2[*threescale.Transaction, Outcome]) {
	if !t.active.Load() {
		return
	}
	t.gate.RLock()
	defer t.gate.RUnlock()
	at := time.Now()
	now := at.Unix()
	t.claim(batch, l, list, now)
	sent := t.clearUnresolved(batch)
	i := 0
	for tx, o := range list {
		unresolved := i < len(sent) && sent[i]
		i++
		switch {
		case o == Delivered && unresolved: // in one change: between two it would be taken for usage of other reporters
			t.book(l, tx, deliver, now)
			continue
		case unresolved:
			t.book(l, tx, unsend, now)
		}
		switch {
		case o == Refused:
			t.book(l, tx, withdraw, now)
		case o == Delivered && sent != nil: // else it was sent before usage was followed
			t.book(l, tx, count, now)
		}
	}
	t.Sweep(at)
}

// Requeue calls do, which makes usage pending again that was refused, and counts what do returns: together, so that Follow
// sees all of it or nothing.
func (t *Tracker) Requeue(do func() []Usage) {
	t.gate.RLock()
	defer t.gate.RUnlock()
	list := do()
	if !t.active.Load() {
		return
	}
	now := time.Now().Unix()
	for i := range list {
		t.book(list[i].Lane, list[i].Transaction, accept, now)
	}
}
