package quota

import (
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// SavedService is what is known of a service's metrics, for a file.
type SavedService struct {
	ID      string        `json:"id"`
	Metrics []SavedMetric `json:"metrics"`
}

// SavedMetric is one metric of a SavedService.
type SavedMetric struct {
	Name   string `json:"name"`
	Parent string `json:"parent,omitempty"`
	Seen   int64  `json:"seen"` // Unix nanoseconds
}

// SavedApplication is what is known of an application, for a file.
type SavedApplication struct {
	Service  int                         `json:"service"` // index in the list of services
	ID       string                      `json:"id"`
	Plan     string                      `json:"plan"`
	Limits   []SavedLimit                `json:"limits"`
	Children []threescale.MetricChildren `json:"children"`
	Asked    time.Time                   `json:"asked"`
}

// SavedLimit is one limit of a SavedApplication with what counts against it.
type SavedLimit struct {
	Metric string            `json:"metric"`
	Period threescale.Period `json:"period"`
	Max    int64             `json:"max"`
	Start  int64             `json:"start"` // of the period, Unix seconds
	Total  int64             `json:"total"`
}

// Save returns what is known of the service's metrics.
func (s *Service) Save(id string) SavedService {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := SavedService{ID: id}
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

// Restore takes up what Save returned.
func (s *Service) Restore(list []SavedMetric, now time.Time) {
	for _, one := range list {
		m := s.Metric(one.Name)
		m.seen.Store(min(one.Seen, now.UnixNano()))
		if one.Parent == "" {
			continue
		}
		if parent := s.Metric(one.Parent); !parent.under(m) {
			m.parent.Store(parent)
		}
	}
}

// Save returns what is known of the application. service is the index of its service.
func (app *Application) Save(id string, service int) SavedApplication {
	cal := app.clock.at(time.Now().Unix())
	app.mu.Lock()
	defer app.mu.Unlock()
	out := SavedApplication{Service: service, ID: id, Plan: app.plan, Children: app.children, Asked: app.asked}
	for i := range app.limits {
		l := &app.limits[i]
		total := l.total(app.usages, cal)
		out.Limits = append(out.Limits, SavedLimit{l.metric.name, l.period, l.max, l.start, total})
	}
	return out
}

// Restore takes up what Save returned, unless an answer was learned already. The totals contain the usage that is still
// pending, also what the backlog's reader has not counted yet.
func (app *Application) Restore(saved *SavedApplication, now time.Time) {
	cal := app.clock.at(now.Unix())
	app.mu.Lock()
	defer app.mu.Unlock()
	if !app.asked.IsZero() {
		return
	}
	app.plan, app.children, app.asked = saved.Plan, saved.Children, saved.Asked
	if app.asked.After(now) {
		app.asked = now // otherwise no answer would count until then
	}
	app.limits = app.limitSpace[:0]
	for _, one := range saved.Limits {
		if one.Period > threescale.Minute {
			continue
		}
		l := limit{metric: app.service.Metric(one.Metric), period: one.Period, max: one.Max, start: one.Start}
		if one.Start == cal.Start[one.Period] {
			l.base = one.Total - l.accepted(app.usages, cal)
		}
		app.limits = append(app.limits, l)
	}
}
