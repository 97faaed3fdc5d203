package quota

import (
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Saved is what a Tracker knows at one moment, for a file: what was delivered, and what the backend said. What is pending is not
// part of it: that is in the spool. It has no key in clear, but the secret of their fingerprints: a reader of the file can try
// keys against it, so it belongs in the data directory only.
type Saved struct {
	Secret       []byte             `json:"secret"`
	Services     []SavedService     `json:"services"`
	Applications []SavedApplication `json:"applications"`
	Names        []SavedName        `json:"names"`
}

// SavedService is what is known of a service's metrics.
type SavedService struct {
	Fingerprint Fingerprint   `json:"service"`
	Metrics     []SavedMetric `json:"metrics"`
}

// SavedMetric is one metric of a SavedService.
type SavedMetric struct {
	Name   string `json:"name"`
	Parent string `json:"parent,omitempty"`
	Seen   int64  `json:"seen"` // Unix nanoseconds
}

// SavedApplication is what is known of an application.
type SavedApplication struct {
	Fingerprint Fingerprint                 `json:"application"`
	Plan        string                      `json:"plan,omitempty"`
	Limits      []SavedLimit                `json:"limits,omitempty"`
	Usages      []SavedUsage                `json:"usages,omitempty"`
	Children    []threescale.MetricChildren `json:"children,omitempty"`
	Asked       time.Time                   `json:"asked,omitzero"`
}

// SavedLimit is one limit of a SavedApplication.
type SavedLimit struct {
	Metric string            `json:"metric"`
	Period threescale.Period `json:"period"`
	Max    int64             `json:"max"`
	Start  int64             `json:"start"` // of the period, Unix seconds
	Base   int64             `json:"base"`
	Seen   int64             `json:"seen"`
}

// SavedUsage is what was delivered of one metric of a SavedApplication.
type SavedUsage struct {
	Metric  string            `json:"metric"`
	Flat    bool              `json:"flat,omitempty"`
	Running [Periods][2]int64 `json:"running"`         // of each period: its start, and what was delivered in it
	Ahead   [][3]int64        `json:"ahead,omitempty"` // the same of periods that had not begun, with their ends in between
	Recent  [4]int64          `json:"recent"`          // see deliveries
}

// MarshalText writes a fingerprint in hexadecimal digits.
func (f Fingerprint) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, f[:]), nil }

// UnmarshalText reads one.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	b, err := hex.AppendDecode(nil, text)
	if err != nil || len(b) != len(f) {
		return fmt.Errorf("quota: fingerprint %q: expected %d hexadecimal digits", text, 2*len(f))
	}
	copy(f[:], b)
	return nil
}

// Save returns what is known. It agrees with the records of outcomes only if none is between its record and Settled meanwhile;
// usage may be accepted.
func (t *Tracker) Save() *Saved {
	now := time.Now().Unix()
	s := &Saved{Secret: t.secret[:], Names: t.names.save()}
	t.services.mu.RLock()
	for _, one := range t.services.byID {
		if saved := one.save(); len(saved.Metrics) > 0 {
			s.Services = append(s.Services, saved)
		}
	}
	t.services.mu.RUnlock()
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		for _, app := range sh.applications {
			app.mu.Lock()
			s.Applications = append(s.Applications, app.saveLocked(t.joinFingerprints(app.service.fingerprint, app.partFingerprint), now))
			app.mu.Unlock()
		}
		sh.mu.Unlock()
	}
	t.restored.save(s, now)
	return s
}

func (s *Service) save() SavedService {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := SavedService{Fingerprint: s.fingerprint}
	for _, m := range s.metrics {
		if !m.Exists() {
			continue
		}
		one := SavedMetric{Name: m.name, Seen: m.seen.Load()}
		if parent := m.parent.Load(); parent != nil {
			one.Parent = parent.name
		}
		out.Metrics = append(out.Metrics, one)
	}
	return out
}

func (app *Application) saveLocked(f Fingerprint, now int64) SavedApplication {
	cal := app.service.clock.at(now)
	out := SavedApplication{Fingerprint: f, Asked: app.asked}
	if app.plan != nil {
		out.Plan, out.Children = app.plan.name, app.plan.children
	}
	for i := range app.limits {
		l := &app.limits[i]
		l.total(app.usages, cal) // turns a period that is over
		out.Limits = append(out.Limits, SavedLimit{l.metric.name, l.period, l.max, l.start, l.base, l.seen})
	}
	for i := range app.usages {
		u := &app.usages[i]
		one := SavedUsage{Metric: u.metric.name, Flat: u.flat, Recent: [4]int64{u.epoch, u.amount, u.before, u.last}}
		for p := range threescale.Period(Periods) {
			s := u.running(p, cal)
			one.Running[p] = [2]int64{s.start, s.accepted - s.pending}
		}
		for _, a := range u.ahead {
			if delivered := a.accepted - a.pending; delivered != 0 {
				one.Ahead = append(one.Ahead, [3]int64{a.start, a.end, delivered})
			}
		}
		if one.Running[threescale.Eternity][1] != 0 || u.recent(now) != 0 || len(one.Ahead) > 0 {
			out.Usages = append(out.Usages, one)
		}
	}
	return out
}

// Restore takes up what Save returned, before usage is followed. Services and applications get what is known of them when they
// are named first. After an error nothing is restored.
func (t *Tracker) Restore(s *Saved) error {
	if len(s.Secret) != len(t.secret) {
		return errors.New("quota: restore: not of this version")
	}
	for i := range s.Applications {
		for _, l := range s.Applications[i].Limits {
			if int(l.Period) >= Periods {
				return fmt.Errorf("quota: restore: no period %d", l.Period)
			}
		}
	}
	copy(t.secret[:], s.Secret)
	t.services.mu.Lock()
	for id := range t.services.byID { // their fingerprints were made with another secret
		delete(t.services.byID, id)
	}
	t.services.mu.Unlock()
	t.restored.set(s)
	t.names.restore(s.Names)
	return nil
}

// restored is what a file knows of services and applications that were not named yet.
type restored struct {
	some atomic.Bool // there is any, so that a life without a file takes no lock

	mu           sync.Mutex // guards what follows
	services     map[Fingerprint]SavedService
	applications map[Fingerprint]SavedApplication
}

func (r *restored) set(s *Saved) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.services, r.applications = make(map[Fingerprint]SavedService), make(map[Fingerprint]SavedApplication)
	for _, one := range s.Services {
		r.services[one.Fingerprint] = one
	}
	for _, one := range s.Applications {
		r.applications[one.Fingerprint] = one
	}
	r.some.Store(true)
}

// service gives a new service what is known of it.
func (r *restored) service(s *Service) {
	if !r.some.Load() {
		return
	}
	r.mu.Lock()
	saved, ok := r.services[s.fingerprint]
	r.mu.Unlock()
	if !ok {
		return
	}
	now := time.Now().UnixNano()
	for _, one := range saved.Metrics {
		m := s.Metric(one.Name)
		m.seen.Store(min(one.Seen, now))
		if one.Parent == "" {
			continue
		}
		if parent := s.Metric(one.Parent); !parent.under(m) {
			m.parent.Store(parent)
		}
	}
}

// application gives a new application what is known of it, once.
func (r *restored) application(app *Application, fingerprint func() Fingerprint) {
	if !r.some.Load() {
		return
	}
	f := fingerprint()
	r.mu.Lock()
	saved, ok := r.applications[f]
	delete(r.applications, f)
	r.mu.Unlock()
	if !ok {
		return
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	app.restoreLocked(&saved, time.Now())
}

// save adds what was not named yet, unless it is too old to matter.
func (r *restored) save(s *Saved, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := make(map[Fingerprint]bool, len(s.Services))
	for i := range s.Services {
		known[s.Services[i].Fingerprint] = true
	}
	for f, one := range r.services {
		if !known[f] {
			s.Services = append(s.Services, one)
		}
	}
	for f, one := range r.applications {
		if one.matters(now) {
			s.Applications = append(s.Applications, one)
		} else {
			delete(r.applications, f)
		}
	}
}

// matters reports whether an application may still answer calls, or has usage that the backend may still have to count.
func (s *SavedApplication) matters(now int64) bool {
	if now-s.Asked.Unix() < int64(lateness/time.Second) {
		return true
	}
	for i := range s.Usages {
		if r := s.Usages[i].deliveries(); r.recent(now) != 0 {
			return true
		}
	}
	return false
}

func (u *SavedUsage) deliveries() deliveries {
	return deliveries{epoch: u.Recent[0], amount: u.Recent[1], before: u.Recent[2], last: u.Recent[3]}
}

func (app *Application) restoreLocked(saved *SavedApplication, now time.Time) {
	app.plan, app.asked = app.service.plan(saved.Plan, saved.Children), saved.Asked
	if app.asked.After(now) {
		app.asked = now // otherwise no answer would count until then
	}
	app.limits = app.limitSpace[:0]
	for _, one := range saved.Limits {
		app.limits = append(app.limits, limit{
			metric: app.service.Metric(one.Metric), period: one.Period, max: one.Max, start: one.Start, base: one.Base, seen: one.Seen,
		})
	}
	for _, one := range saved.Usages {
		u := app.usageOfLocked(app.service.Follow(one.Metric), one.Flat)
		u.deliveries = one.deliveries()
		for p := range threescale.Period(Periods) {
			start, delivered := one.Running[p][0], one.Running[p][1]
			u.now[p] = slot{start: start, accepted: delivered}
		}
		for _, a := range one.Ahead {
			u.ahead = append(u.ahead, future{slot: slot{start: a[0], accepted: a[2]}, end: a[1]})
		}
	}
}

// Replay counts what an outcome that was recorded after Save said of one transaction, before usage is followed: it was
// delivered, or with undo it was not.
func (t *Tracker) Replay(l Lane, tx *threescale.Transaction, undo bool) {
	c := replay
	if undo {
		c = unreplay
	}
	t.book(l, tx, c, time.Now().Unix())
}

// Counted counts usage that was delivered under another timestamp than it was accepted with.
func (t *Tracker) Counted(l Lane, tx *threescale.Transaction) {
	if !t.active.Load() {
		return
	}
	t.gate.RLock()
	defer t.gate.RUnlock()
	t.book(l, tx, replay, time.Now().Unix())
}
