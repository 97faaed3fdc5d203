package quota

import (
	"crypto/rand"
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

	// Named, when not nil, is called with a user key of a service and the id of its application: when the backend told it, and when a
	// name of a file is used for the first time. It must return soon, and may be called concurrently.
	Named func(serviceID, userKey, id string)

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
	named    func(serviceID, userKey, id string)
	most     int64 // applications followed
	clock    clock
	services services
	names    names
	renaming sync.Mutex // held while applications move to another name
	secret   [32]byte   // of the fingerprints; that of the file, where there is one
	restored restored   // what a file knows

	active  atomic.Bool // usage that is accepted or settled is followed
	loading loading     // what was accepted before

	// gate is held for reading while usage is accepted or settled, and for writing while the backlog is opened, so that each
	// bit of usage is seen by one of the two. What is in the backlog is read without it.
	gate sync.RWMutex

	shards    [shards]shard
	size      atomic.Int64 // applications
	swept     atomic.Int64 // Unix seconds of the last sweep
	untracked atomic.Uint64

	unresolvedNames atomic.Int64 // applications, as of the last sweep

	keepSeen, keepUnseen atomic.Int64  // seconds for which unused applications are remembered; see Sweep
	forgotten            atomic.Uint64 // of them, applications of which the backend's counters lacked usage

	mu         sync.Mutex        // guards unresolved
	unresolved map[string][]bool // of a batch, by index: what was sent, and may be counted
}

// New returns a Tracker that follows nothing yet.
func New(o Options) *Tracker {
	t := &Tracker{log: o.Log, journal: o.Journal, pending: o.Pending, named: o.Named, most: int64(o.Applications)}
	if t.named == nil {
		t.named = func(string, string, string) {}
	}
	if t.log == nil {
		t.log = zap.NewNop()
	}
	_, _ = rand.Read(t.secret[:]) // never fails: crypto/rand ends the process instead
	t.keepSeen.Store(forever)
	t.keepUnseen.Store(forever)
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

// UnresolvedNames returns how many of them are followed under a name that the backend has not explained, as of the last Sweep: a
// user key, or a service named by a provider key without an id or with an alias.
func (t *Tracker) UnresolvedNames() int { return int(t.unresolvedNames.Load()) }

// Untracked returns how many transactions were not followed, for want of room.
func (t *Tracker) Untracked() uint64 { return t.untracked.Load() }

// Forgotten returns how many applications were forgotten before the backend's counters showed their usage, for want of room.
func (t *Tracker) Forgotten() uint64 { return t.forgotten.Load() }

// Refer returns the application of a name, a new one of s if there is none, with one reference more; see Application.Release.
func (t *Tracker) Refer(n Name, s *Service) *Application {
	n, id, sh := t.enter(n)
	defer sh.mu.Unlock()
	app := sh.applications[id]
	if app == nil {
		app = t.addLocked(sh, id, identifyApplicationPart(n.Application), t.partFingerprint(n.Application), s)
		app.unresolved = n.Application.ID == ""
	}
	app.references.Add(1)
	return app
}

// addLocked begins to follow an application. The shard's mutex is held.
func (t *Tracker) addLocked(sh *shard, id, part ID, partFingerprint Fingerprint, s *Service) *Application {
	app := &Application{service: s, part: part, partFingerprint: partFingerprint}
	t.restored.application(app, func() Fingerprint { return t.joinFingerprints(s.fingerprint, partFingerprint) })
	s.used.Store(true)
	sh.applications[id] = app
	t.size.Add(1)
	return app
}

// Find returns the application of a name with one reference more, or nil.
func (t *Tracker) Find(n Name) *Application {
	_, id, sh := t.enter(n)
	defer sh.mu.Unlock()
	app := sh.applications[id]
	if app != nil {
		app.references.Add(1)
	}
	return app
}

// enter resolves a name, and returns its ID and its shard, with the shard's mutex held.
func (t *Tracker) enter(n Name) (resolved Name, id ID, sh *shard) {
	for {
		version := t.names.version.Load()
		resolved = t.Resolve(n)
		id = resolved.id()
		sh = &t.shards[id.low%shards]
		sh.mu.Lock()
		if t.names.version.Load() == version {
			return resolved, id, sh
		}
		sh.mu.Unlock() // a name was learned meanwhile, and what was counted under it is moved
	}
}

// lock returns an application with its mutex held, a new one if there is none; nil when too many are followed already.
func (t *Tracker) lock(n Name) *Application {
	n, id, sh := t.enter(n)
	defer sh.mu.Unlock()
	app := sh.applications[id]
	if app == nil {
		if t.size.Load() >= t.most {
			t.untracked.Add(1)
			return nil
		}
		app = t.addLocked(sh, id, identifyApplicationPart(n.Application), t.partFingerprint(n.Application), t.Service(n.Service))
		app.unresolved = n.Application.ID == ""
	}
	app.mu.Lock()
	return app
}

const sweepEvery = time.Minute

// Applications that no answer refers to are remembered while there is room: then the first answer about one that is asked about
// again is held against our own account, and a worker of the backend that is behind does not change what counts. There is room
// for one in roomUnseen of the applications that may be followed, where the backend's counters lack usage that was delivered, and
// for one in roomSeen of the rest. Beyond that those are forgotten that were used last the longest ago.
const (
	roomUnseen = 4
	roomSeen   = 16
	leastAge   = 120 // seconds for which an application is remembered in any case
)

// Sweep forgets applications for want of room, once in sweepEvery.
func (t *Tracker) Sweep(at time.Time) {
	now := at.Unix()
	last := t.swept.Load()
	if now-last < int64(sweepEvery/time.Second) || !t.swept.CompareAndSwap(last, now) {
		return
	}
	unresolved := int64(0)
	seen, unseen := idleAges{longest: t.keepSeen.Load()}, idleAges{longest: t.keepUnseen.Load()}
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		for id, app := range sh.applications {
			app.mu.Lock()
			if app.unresolved || app.service.unresolved {
				unresolved++
			}
			if app.references.Load() <= 0 && !app.pendingLocked() {
				ages := &unseen
				if app.idleLocked(now) {
					ages = &seen
				}
				if ages.forget(now - app.lastLocked()) {
					t.removeLocked(sh, id, app)
				}
			}
			app.mu.Unlock()
		}
		sh.mu.Unlock()
	}
	t.forgotten.Add(uint64(unseen.forgotten))
	t.unresolvedNames.Store(unresolved)
	t.keepSeen.Store(seen.longestFor(t.most / roomSeen))
	t.keepUnseen.Store(unseen.longestFor(t.most / roomUnseen))
}

// idleAges count the applications that no answer refers to by how long ago they were used, to choose which are forgotten.
type idleAges struct {
	longest   int64     // seconds: an application that was not used for longer is forgotten
	forgotten int64     // of them
	kept      [24]int64 // the rest, by the logarithm of their age in seconds
}

func (a *idleAges) forget(age int64) bool {
	if age > a.longest && age >= leastAge {
		a.forgotten++
		return true
	}
	a.kept[min(bits.Len64(uint64(max(age, 0))), len(a.kept)-1)]++
	return false
}

// longestFor is how long ago an application may have been used so that about room of them are kept.
func (a *idleAges) longestFor(room int64) int64 {
	for n, kept := range a.kept {
		if room -= kept; room < 0 {
			return max(int64(1)<<max(n-1, 0), leastAge)
		}
	}
	return forever
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
	return t.lock(Name{ServiceName{l.ServiceID, l.Credentials}, tx.Application})
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
