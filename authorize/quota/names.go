package quota

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// maxNames bounds how many other names of services and applications are remembered.
const maxNames = 400_000

// names are the other names of services and applications, as the backend told them (3scale-options: list_app_keys, recorded in
// protocol/backend-2.md): a provider key without a service id means the provider's default service, foo-3201 beside a provider
// key means 3201, and a user key means an application. One thing has one account, under all its names.
type names struct {
	version atomic.Uint64 // rises with every name that is learned; 0: none is known

	mu    sync.RWMutex           // guards what follows
	known map[ID]string          // what a name stands for: a service id, or an application id; empty: the file does not know it
	saved map[ID]SavedName       // the form of known for a file
	early map[Fingerprint]string // from a file: names that were not used yet
}

// SavedName is another name of a service or an application.
type SavedName struct {
	Fingerprint Fingerprint `json:"name"`
	ID          string      `json:"id"`
}

// Aliased reports whether the name of a service may be another name: beside a provider key, no id, or one with a dash.
func (n ServiceName) Aliased() bool {
	return n.Credentials.ProviderKey != "" && (n.ID == "" || strings.IndexByte(n.ID, '-') >= 0)
}

// aliasKey is what another name of a service is remembered under.
func (n ServiceName) aliasKey() ID { return identify('x', n.Credentials.ProviderKey, n.ID) }

// ResolveService returns the name of a service that the backend uses, as far as it is known.
func (t *Tracker) ResolveService(n ServiceName) ServiceName {
	if t.names.version.Load() == 0 || !n.Aliased() {
		return n
	}
	if id, _ := t.lookUp(n.aliasKey(), func() Fingerprint { return t.fingerprint('x', n.Credentials.ProviderKey, n.ID) }); id != "" {
		return ServiceName{ID: id}
	}
	return n
}

// Resolve returns the name of an application that the backend uses, as far as it is known.
func (t *Tracker) Resolve(n Name) Name {
	if t.names.version.Load() == 0 {
		return n
	}
	n.Service = t.ResolveService(n.Service)
	if n.Application.ID == "" && n.Application.UserKey != "" {
		id, first := t.lookUp(n.id(), func() Fingerprint { return t.applicationFingerprint(n) })
		if id != "" {
			if first {
				t.named(n.Service.ID, n.Application.UserKey, id)
			}
			n.Application = threescale.Application{ID: id}
		}
	}
	return n
}

// Unresolved reports whether the backend should be asked what a name stands for.
func (t *Tracker) Unresolved(n Name) bool {
	n = t.Resolve(n)
	return n.Service.Aliased() || n.Application.ID == "" && n.Application.UserKey != ""
}

// lookUp returns what a name stands for, empty where that is unknown. It is looked for in the file's names once: then first is true.
func (t *Tracker) lookUp(key ID, fingerprint func() Fingerprint) (id string, first bool) {
	m := &t.names
	m.mu.RLock()
	id, known := m.known[key]
	early := len(m.early) > 0
	m.mu.RUnlock()
	if known || !early {
		return id, false
	}
	f := fingerprint()
	m.mu.Lock()
	defer m.mu.Unlock()
	if id, known := m.known[key]; known { // by another goroutine, meanwhile
		return id, false
	}
	id = m.early[f]
	m.putLocked(key, f, id)
	return id, true
}

// putLocked remembers a name; an empty id says that the file does not know it.
func (m *names) putLocked(key ID, f Fingerprint, id string) {
	if len(m.known) >= maxNames || m.known == nil {
		m.known, m.saved = make(map[ID]string), make(map[ID]SavedName)
	}
	m.known[key] = id
	if id != "" {
		m.saved[key] = SavedName{f, id}
		delete(m.early, f)
	}
}

func (m *names) learn(key ID, f Fingerprint, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.putLocked(key, f, id)
	m.version.Add(1)
}

func (m *names) restore(list []SavedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.early = make(map[Fingerprint]string, len(list))
	for _, one := range list {
		m.early[one.Fingerprint] = one.ID
	}
	if len(list) > 0 {
		m.version.Add(1)
	}
}

func (m *names) save() (list []SavedName) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, one := range m.saved {
		list = append(list, one)
	}
	for f, id := range m.early {
		list = append(list, SavedName{f, id})
	}
	return list
}

// LearnNames takes the names that an answer of the backend has for what was asked about. What was counted under the other name
// counts under the backend's from now on. It reports whether something was moved.
func (t *Tracker) LearnNames(asked Name, serviceID, applicationID string) (moved bool) {
	if !t.Unresolved(asked) {
		return false
	}
	t.renaming.Lock()
	defer t.renaming.Unlock()
	if n := asked.Service; serviceID != "" && t.ResolveService(n).Aliased() {
		old := t.Service(n)
		t.names.learn(n.aliasKey(), t.fingerprint('x', n.Credentials.ProviderKey, n.ID), strings.Clone(serviceID))
		now := t.Service(n)
		for _, app := range t.applicationsOf(old) {
			moved = t.move(app, identifyPart(now.id, app.part), app.part, app.partFingerprint, now) || moved
		}
	}
	n := t.Resolve(asked)
	if applicationID == "" || n.Application.ID != "" || n.Application.UserKey == "" {
		return moved
	}
	from := n.id()
	t.names.learn(from, t.applicationFingerprint(n), strings.Clone(applicationID))
	t.named(n.Service.ID, strings.Clone(n.Application.UserKey), strings.Clone(applicationID))
	to := t.Resolve(n)
	if app := t.followed(from); app != nil {
		part := identifyApplicationPart(to.Application)
		moved = t.move(app, to.id(), part, t.partFingerprint(to.Application), t.Service(to.Service)) || moved
	}
	return moved
}

// followed returns the application of an ID, or nil.
func (t *Tracker) followed(id ID) *Application {
	sh := &t.shards[id.low%shards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.applications[id]
}

// applicationsOf lists the applications of a service.
func (t *Tracker) applicationsOf(s *Service) (list []*Application) {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		for _, app := range sh.applications {
			if app.service == s {
				list = append(list, app)
			}
		}
		sh.mu.Unlock()
	}
	return list
}

// move has what is counted for src counted for the application of an ID, a new one if there is none. Answers that point to src
// are asked for again. renaming is held, so that no other goroutine holds two shards.
func (t *Tracker) move(src *Application, to, part ID, partFingerprint Fingerprint, s *Service) bool {
	from := identifyPart(src.service.id, src.part)
	a, b := &t.shards[from.low%shards], &t.shards[to.low%shards]
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.applications[from] != src || from == to {
		return false
	}
	if a != b {
		b.mu.Lock()
		defer b.mu.Unlock()
	}
	dst := b.applications[to]
	if dst == nil {
		dst = t.addLocked(b, to, part, partFingerprint, s)
		dst.unresolved = src.unresolved && part == src.part
	}
	src.mu.Lock()
	defer src.mu.Unlock()
	dst.mu.Lock()
	defer dst.mu.Unlock()
	dst.absorbLocked(src, time.Now().Unix())
	t.removeLocked(a, from, src)
	return true
}

// absorbLocked adds what was accepted for src, and takes its limits if none are known. Both mutexes are held.
func (app *Application) absorbLocked(src *Application, now int64) {
	cal := app.service.clock.at(now)
	took := app.asked.IsZero() && !src.asked.IsZero()
	if took {
		app.plan, app.asked = app.service.samePlan(src.plan), src.asked
		app.limits = app.limitSpace[:0]
		for i := range src.limits {
			l := src.limits[i]
			l.total(src.usages, cal) // turns a period that is over
			l.metric = app.service.Metric(l.metric.name)
			app.limits = append(app.limits, l)
		}
	}
	delivered := func(usages []metricUsage, l *limit) int64 {
		s := l.sums(usages, cal, now)
		return s.accepted - s.pending
	}
	before := make([]int64, len(app.limits)) // what was delivered, that the limit's base may contain
	for i := range app.limits {
		l := &app.limits[i]
		l.total(app.usages, cal)
		if took {
			before[i] = delivered(app.usages, l)
		} else {
			before[i] = -delivered(app.usages, l)
		}
	}
	for i := range src.usages {
		u := &src.usages[i]
		app.usageOfLocked(app.service.Follow(u.metric.name), u.flat).absorb(u, cal)
	}
	for i := range app.limits {
		l := &app.limits[i]
		if !took {
			before[i] += delivered(app.usages, l) // of src
		}
		l.base = max(0, l.base-before[i])
	}
	app.moves += src.moves + 1
}

func (u *metricUsage) absorb(src *metricUsage, cal *Calendar) {
	for p := range threescale.Period(Periods) {
		s, from := u.running(p, cal), src.running(p, cal)
		s.accepted += from.accepted
		s.pending += from.pending
		u.setUnresolved(p, u.unresolvedIn(p)+src.unresolvedIn(p))
	}
	u.ahead = append(u.ahead, src.ahead...)
	u.deliveries.absorb(&src.deliveries)
}

func (d *deliveries) absorb(src *deliveries) {
	if src.epoch > d.epoch {
		*d, src = *src, &deliveries{epoch: d.epoch, amount: d.amount, before: d.before, last: d.last}
	}
	switch d.epoch - src.epoch {
	case 0:
		d.amount += src.amount
		d.before += src.before
	case 1:
		d.before += src.amount
	}
	d.last = max(d.last, src.last)
}
