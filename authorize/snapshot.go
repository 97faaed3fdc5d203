package authorize

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// snapshot is what survives a stop in good order: the answers that led to a yes, with their age, and the
// counters of their applications. Answers for user keys, and those that show keys, are left out. It holds
// no key, but the secret of the hashes of those that were shown: whoever reads it can try keys, so it is
// for the data directory alone.
type snapshot struct {
	Version      int                `json:"version"`
	Secret       []byte             `json:"secret"`
	Services     []savedService     `json:"services"`
	Applications []savedApplication `json:"applications"`
	Entries      []savedEntry       `json:"entries"`
}

type savedService struct {
	ID      string        `json:"id"`
	Metrics []savedMetric `json:"metrics"`
}

type savedMetric struct {
	Name   string `json:"name"`
	Parent string `json:"parent,omitempty"`
	Seen   int64  `json:"seen"` // Unix nanoseconds
}

type savedApplication struct {
	Service  int                         `json:"service"` // index
	ID       string                      `json:"id"`
	Plan     string                      `json:"plan"`
	Limits   []savedLimit                `json:"limits"`
	Children []threescale.MetricChildren `json:"children"`
	Asked    time.Time                   `json:"asked"`
}

type savedLimit struct {
	Metric string            `json:"metric"`
	Period threescale.Period `json:"period"`
	Max    int64             `json:"max"`
	Start  int64             `json:"start"`
	Total  int64             `json:"total"`
}

type savedEntry struct {
	Application int       `json:"application"` // index
	Key         []byte    `json:"key"`
	Asked       time.Time `json:"asked"`
	Answered    time.Time `json:"answered"`
}

const snapshotVersion = 1

// Save writes what can be remembered across a restart. It is called when nothing is answered and nothing
// taken in any more: counters that move on make a snapshot wrong.
func (a *Authorizer) Save(w io.Writer) error {
	if !a.Loaded() {
		return errors.New("authorize: save: the usage that is not delivered is not counted yet")
	}
	s := snapshot{Version: snapshotVersion, Secret: a.secret[:]}
	services, applications := map[*service]int{}, map[*application]int{}
	cal := a.clock.at(time.Now().Unix())
	a.good.each(func(e *entry) {
		if e.appID == "" || e.oauth != nil || e.keys != nil {
			return
		}
		app := e.application
		if _, known := services[app.service]; !known {
			services[app.service] = len(s.Services)
			s.Services = append(s.Services, app.service.save(e.serviceID))
		}
		if _, known := applications[app]; !known {
			applications[app] = len(s.Applications)
			s.Applications = append(s.Applications, app.save(e.appID, services[app.service], cal))
		}
		s.Entries = append(s.Entries, savedEntry{applications[app], e.key[:], e.asked, e.answered})
	})
	if err := json.NewEncoder(w).Encode(s); err != nil {
		return fmt.Errorf("authorize: save: %w", err)
	}
	return nil
}

func (s *service) save(id string) savedService {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := savedService{ID: id}
	for _, m := range s.metrics {
		if m.seen.Load() <= m.denied.Load() {
			continue
		}
		one := savedMetric{Name: m.name, Seen: m.seen.Load()}
		if parent := m.parent.Load(); parent != nil {
			one.Parent = parent.name
		}
		out.Metrics = append(out.Metrics, one)
	}
	return out
}

func (app *application) save(id string, service int, cal *calendar) savedApplication {
	app.mu.Lock()
	defer app.mu.Unlock()
	out := savedApplication{Service: service, ID: id, Plan: app.plan, Children: app.children, Asked: app.asked}
	for i := range app.limits {
		l := &app.limits[i]
		total := l.total(app.usages, cal)
		out.Limits = append(out.Limits, savedLimit{l.metric.name, l.period, l.max, l.start, total})
	}
	return out
}

// Restore takes up what Save wrote, after Follow, and before anything is taken in, sent or answered: the totals of a
// snapshot hold the usage that is still to be delivered, also that which Run has not read yet. Answers are as old as they are, and are asked for again
// when their time is over. After an error, the Authorizer knows nothing, and asks.
func (a *Authorizer) Restore(r io.Reader) error {
	var s snapshot
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return fmt.Errorf("authorize: restore: %w", err)
	}
	if s.Version != snapshotVersion || len(s.Secret) != len(a.secret) || !s.sound() {
		return errors.New("authorize: restore: not a snapshot of this version")
	}
	copy(a.secret[:], s.Secret)
	now := time.Now()
	cal := a.clock.at(now.Unix())
	services := make([]*service, len(s.Services))
	for i := range s.Services {
		services[i] = a.services.of(identifyService(s.Services[i].ID, threescale.Credentials{}))
		services[i].restore(s.Services[i].Metrics, now)
	}
	for i := range s.Entries {
		saved := &s.Entries[i]
		if saved.Asked.After(now) || saved.Answered.After(now) {
			continue // the clock went back: nobody knows how old it is
		}
		one := &s.Applications[saved.Application]
		id := identifyService(s.Services[one.Service].ID, threescale.Credentials{})
		app := a.ledger.refer(identifyApplication(id, threescale.Application{ID: one.ID}), services[one.Service])
		app.restore(one, cal, now)
		a.good.put(&entry{
			key: digest(saved.Key), application: app, asked: saved.Asked, answered: saved.Answered,
			serviceID: s.Services[one.Service].ID, appID: one.ID,
		})
	}
	return nil
}

// sound reports whether every index points somewhere.
func (s *snapshot) sound() bool {
	for i := range s.Applications {
		if n := s.Applications[i].Service; n < 0 || n >= len(s.Services) {
			return false
		}
	}
	for i := range s.Entries {
		if n := s.Entries[i].Application; n < 0 || n >= len(s.Applications) || len(s.Entries[i].Key) != len(digest{}) {
			return false
		}
	}
	return true
}

func (s *service) restore(list []savedMetric, now time.Time) {
	for _, one := range list {
		m := s.metric(one.Name)
		m.seen.Store(min(one.Seen, now.UnixNano()))
		if one.Parent == "" {
			continue
		}
		if parent := s.metric(one.Parent); !parent.under(m) {
			m.parent.Store(parent)
		}
	}
}

// restore sets limits and totals, once.
func (app *application) restore(saved *savedApplication, cal *calendar, now time.Time) {
	app.mu.Lock()
	defer app.mu.Unlock()
	if !app.asked.IsZero() {
		return
	}
	app.plan, app.children, app.asked = saved.Plan, saved.Children, saved.Asked
	if app.asked.After(now) {
		app.asked = now // or no answer would count until then
	}
	app.limits = app.limitRoom[:0]
	for _, one := range saved.Limits {
		if one.Period > threescale.Minute {
			continue
		}
		l := limit{metric: app.service.metric(one.Metric), period: one.Period, max: one.Max, start: one.Start}
		if one.Start == cal.start[one.Period] {
			l.base = one.Total - l.accepted(app.usages, cal)
		}
		app.limits = append(app.limits, l)
	}
}
