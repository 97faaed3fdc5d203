package quota

import (
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Weighing is one call that is held against the limits of an application. Its slices are reused from call to call.
type Weighing struct {
	// What the caller sets.
	Asked     []Amount // with their metrics
	HasUsage  bool     // there is a usage parameter; without one every limit must hold
	FlatUsage bool     // the usage counts for no ancestor
	Denied    bool     // the call is denied for another reason: limits are reported, and nothing is reserved
	Reserve   bool     // usage within the limits is counted, at one moment with the decision
	Now       time.Time

	// What Weigh answers.
	Exceeded bool // a limit does not allow the usage
	Calendar *Calendar
	Plan     string
	Children []threescale.MetricChildren
	Reports  []Report
	Usage    threescale.Usage // what was reserved: it has to be kept, or withdrawn

	weighed []Amount
}

// Reset empties a Weighing and keeps its memory.
func (w *Weighing) Reset() {
	clear(w.weighed)
	clear(w.Reports)
	clear(w.Usage)
	*w = Weighing{Reports: w.Reports[:0], weighed: w.weighed[:0], Usage: w.Usage[:0]}
}

// Weigh holds a call against the limits, and reserves its usage if they allow it. It returns false, and has done nothing, when
// the application was removed from the Tracker meanwhile and has to be looked up again.
func (app *Application) Weigh(w *Weighing) bool {
	app.mu.Lock()
	defer app.mu.Unlock()
	if app.gone {
		return false
	}
	cal := app.service.clock.moment(w)
	w.Calendar = cal
	if app.plan != nil {
		w.Plan, w.Children = app.plan.name, app.plan.children
	}
	for i := range app.limits {
		w.Reports = append(w.Reports, app.limits[i].report(app.usages, cal))
	}
	w.Exceeded = !w.Denied && w.exceeds()
	if w.Denied || w.Exceeded || !w.Reserve {
		return true
	}
	for i := range w.Reports {
		w.Reports[i].Shown = Below(w.Reports[i].Metric, w.Asked, w.Reports[i].Current)
	}
	app.reserveLocked(w)
	return true
}

// Reserve counts the usage of a call without holding it against limits, for the mode that allows what is unknown. It returns
// the application that the usage is counted for; nil when too many are followed.
func (t *Tracker) Reserve(w *Weighing, n Name) *Application {
	app := t.lock(n)
	if app == nil {
		for i := range w.Asked {
			if x := &w.Asked[i]; x.Value != 0 {
				w.take(x)
			}
		}
		return nil
	}
	defer app.mu.Unlock()
	app.reserveLocked(w)
	return app
}

// moment returns the calendar that a call is held against. Between its lookup and the application's mutex, which is held now,
// other calls may have turned a period: then this call belongs to the new period as well, since the counters of the old one
// are gone.
func (c *clock) moment(w *Weighing) *Calendar {
	cal := c.at(w.Now.Unix())
	if newest := c.current.Load(); newest.Minute > cal.Minute {
		w.Now = time.Now()
		cal = c.at(w.Now.Unix())
	}
	return cal
}

// exceeds reports whether a limit does not allow the call: with usage, a limit of the metrics named or their ancestors;
// without, any that is exceeded already (backend.md, section 6).
func (w *Weighing) exceeds() bool {
	w.weighed = append(w.weighed[:0], w.Asked...)
	if !w.FlatUsage {
		w.weighed = spread(w.weighed[:0], w.Asked)
	}
	for i := range w.Reports {
		r := &w.Reports[i]
		value := r.Current
		if w.HasUsage {
			x := find(w.weighed, r.Metric)
			if x == nil {
				continue
			}
			value = x.onto(value)
		}
		if value > r.Max {
			return true
		}
	}
	return false
}

func find(list []Amount, m *Metric) *Amount {
	for i := range list {
		if list[i].Metric == m {
			return &list[i]
		}
	}
	return nil
}

// reserveLocked counts the usage of the call, which is to be kept.
func (app *Application) reserveLocked(w *Weighing) {
	cal := app.service.clock.moment(w)
	now := w.Now.Unix()
	for i := range w.Asked {
		if x := &w.Asked[i]; x.Value != 0 {
			app.addLocked(app.usageOfLocked(x.Metric, w.FlatUsage), x.Value, accept, cal, cal, now)
			w.take(x)
		}
	}
}

// take lists an amount that has to be kept.
func (w *Weighing) take(x *Amount) {
	w.Usage = append(w.Usage, threescale.Increment{Metric: x.Name, Value: uint64(x.Value)})
}
