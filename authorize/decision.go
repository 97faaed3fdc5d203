package authorize

import (
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

// codeUnavailable and reasonUnavailable are of a denial that is not the backend's: nothing is known,
// and the mode says no. unknownPlan stands where clients need a plan's name and none is known.
const (
	codeUnavailable   = "backend_unavailable"
	reasonUnavailable = "authorization is not available at the moment"
	reasonJournal     = "usage cannot be recorded at the moment"
	unknownPlan       = "unknown"
)

// reply is one call on its way to an answer, and room for it that is used again.
type reply struct {
	call
	finding

	err    *threescale.Error // an <error>; else what follows
	code   string            // of a denial; "": authorized
	reason string
	plan   string

	calendar *calendar
	reports  []report
	children []threescale.MetricChildren
	weighed  []amount

	booked *application // where the usage is counted; nil: nowhere
	events [1]event.Event
	usage  threescale.Usage // of an authrep that is authorized: it has to be kept

	status threescale.Status
	body   []byte
}

func (r *reply) reset() {
	r.call.reset()
	clear(r.weighed)
	clear(r.reports)
	clear(r.usage)
	*r = reply{
		call: r.call, reports: r.reports[:0], weighed: r.weighed[:0], usage: r.usage[:0], body: r.body[:0],
		status: threescale.Status{UsageReports: r.status.UsageReports[:0]},
	}
}

func (r *reply) deny(code, reason string) { r.code, r.reason = code, reason }

// decide makes the decision of what is known. An authrep that is authorized has its usage counted when
// it returns: at one moment with the decision, so that no two calls get the last of a limit. It reports
// false when the application was forgotten meanwhile, and has to be looked up again.
func (a *Authorizer) decide(r *reply) bool {
	e := r.finding.entry
	switch {
	case r.refused != nil:
		r.err = r.refused
		return true
	case e == nil:
		a.undecided(r)
		return true
	case e.status != 0:
		r.err = e.error(&r.call)
		return true
	}
	app := e.application
	if !e.denied || r.noBody {
		r.err = a.resolve(r, app.service)
	}
	if e.denied && (r.err == nil || r.err.Code != threescale.CodeMetricInvalid) {
		r.err = nil
		r.deny(e.code, e.words(&r.call))
	}
	if r.err != nil {
		return true
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	if app.gone {
		return false
	}
	a.weighLocked(r, app)
	return true
}

// undecided lets the mode decide.
func (a *Authorizer) undecided(r *reply) {
	r.plan = unknownPlan
	if a.options.Mode != Allow {
		r.deny(codeUnavailable, reasonUnavailable)
		return
	}
	if r.authrep {
		id := identifyService(r.door.serviceID, r.door.credentials)
		app := a.ledger.lock(&a.services, id, identifyApplication(id, r.application))
		if app != nil {
			defer app.mu.Unlock()
		}
		if r.err = a.resolve(r, a.services.of(id)); r.err == nil && r.code == "" {
			a.reserveLocked(r, app)
		}
	}
}

// resolve finds the metrics of the call, in the order written, up to the first fault (backend.md,
// section 5). A metric nobody could ask about is for the mode to decide.
func (a *Authorizer) resolve(r *reply, s *service) *threescale.Error {
	for i := range r.asked {
		x := &r.asked[i]
		if x.fault != nil {
			return x.fault
		}
		if !askable(x.name) || !r.door.takes(x.name) {
			return threescale.MetricInvalid(x.name)
		}
		x.metric = x.of(s)
		switch {
		case x.metric != nil && x.metric.known(r.now, r.life):
		case r.source != FromBackend && a.options.Mode == Allow && (x.metric == nil || x.metric.denied.Load() == 0):
			x.metric = s.follow(x.name)
		case r.source == FromBackend || x.metric != nil && x.metric.denied.Load() > x.metric.seen.Load():
			return threescale.MetricInvalid(x.name)
		default:
			r.deny(codeUnavailable, reasonUnavailable)
		}
	}
	return nil
}

// weighLocked holds the call against the limits, and counts the usage of an authrep that passes. The
// application's mutex is held.
func (a *Authorizer) weighLocked(r *reply, app *application) {
	cal := a.moment(r)
	r.calendar, r.plan, r.children = cal, app.plan, app.children
	for i := range app.limits {
		r.reports = append(r.reports, app.limits[i].report(app.usages, cal))
	}
	if r.code == "" && r.exceeds() {
		r.deny(threescale.CodeLimitsExceeded, "usage limits are exceeded")
	}
	if r.code != "" || !r.authrep {
		return
	}
	for i := range r.reports {
		r.reports[i].shown = below(r.reports[i].metric, r.asked, r.reports[i].current)
	}
	a.reserveLocked(r, app)
}

// moment returns the calendar that a call is held against. Between its looking up and the application's mutex,
// which is held now, others may have turned a period: then the call belongs to the new one, as they do, since
// the counters of the old one are gone.
func (a *Authorizer) moment(r *reply) *calendar {
	cal := a.clock.at(r.now.Unix())
	if newest := a.clock.current.Load(); newest.minute > cal.minute {
		r.now = time.Now()
		cal = a.clock.at(r.now.Unix())
	}
	return cal
}

// exceeds reports whether a limit stands in the way: with usage, of the metrics named and their
// ancestors; without, any that is passed already (backend.md, section 6).
func (r *reply) exceeds() bool {
	r.weighed = append(r.weighed[:0], r.asked...)
	if !r.options.FlatUsage {
		r.weighed = spread(r.weighed[:0], r.asked)
	}
	for i := range r.reports {
		p := &r.reports[i]
		value := p.current
		if r.asks {
			x := find(r.weighed, p.metric)
			if x == nil {
				continue
			}
			value = x.onto(value)
		}
		if value > p.max {
			return true
		}
	}
	return false
}

func find(list []amount, m *metric) *amount {
	for i := range list {
		if list[i].metric == m {
			return &list[i]
		}
	}
	return nil
}

// reserveLocked counts the usage of the call, which is to be kept. The application's mutex is held; it is nil when
// too many are followed.
func (a *Authorizer) reserveLocked(r *reply, app *application) {
	cal := a.moment(r)
	now := r.now.Unix()
	for i := range r.asked {
		x := &r.asked[i]
		if x.value == 0 {
			continue
		}
		if app != nil {
			app.addLocked(app.usageOfLocked(x.metric, r.options.FlatUsage), x.value, accept, cal, cal, now)
		}
		r.usage = append(r.usage, threescale.Increment{Metric: x.name, Value: uint64(x.value)})
	}
	r.booked = app
}

// exceeded is the largest amount by which a counter of the call is above its limit already.
func (r *reply) exceeded() (most int64) {
	for i := range r.reports {
		most = max(most, r.reports[i].current-r.reports[i].max)
	}
	return most
}

// headers are the limit headers of an answer.
type headers struct {
	remaining, reset, max int64 // reset in seconds; max is not sent when remaining is -1
}

// limitHeaders chooses the limit the headers speak of (backend.md, section 7): how many more calls like
// this one fit. -1 counts as lower than 0, so a metric with usage 0 hides another's limit (recording
// auth-limit-headers-zero-second-metric).
func (r *reply) limitHeaders() headers {
	kept, calls := -1, int64(-1)
	for i := range r.reports {
		p := &r.reports[i]
		if !r.candidate(p.metric) {
			continue
		}
		n := r.fitting(p)
		if kept < 0 || n < calls || calls == -1 && n != -1 || n == calls && p.period < r.reports[kept].period {
			kept, calls = i, n
		}
	}
	if calls < 0 {
		return headers{remaining: -1, reset: -1}
	}
	h := headers{remaining: calls, reset: -1, max: r.reports[kept].max}
	if p := &r.reports[kept]; p.period != threescale.Eternity {
		left := time.Unix(p.end, 0).Sub(r.now)
		h.reset = int64((left + time.Second - 1) / time.Second)
	}
	return h
}

// candidate reports whether a metric was asked for, itself or through a descendant.
func (r *reply) candidate(m *metric) bool {
	for i := range r.asked {
		if r.asked[i].metric != nil && r.asked[i].metric.under(m) {
			return true
		}
	}
	return len(r.asked) == 0
}

func (r *reply) fitting(p *report) int64 {
	left := p.max - p.shown
	if left <= 0 {
		return 0
	}
	if each := below(p.metric, r.asked, 0); each > 0 {
		return left / each
	}
	return -1
}
