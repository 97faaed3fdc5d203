package authorize

import (
	"time"

	"github.com/reporterd/reporterd/authorize/quota"
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

// reply is one call on its way to an answer, and memory for it that is used again.
type reply struct {
	call
	finding
	weighing quota.Weighing

	err    *threescale.Error // an <error>; else what follows
	code   string            // of a denial; "": authorized
	reason string
	plan   string

	booked *quota.Application // where the usage is counted; nil: nowhere
	events [1]event.Event

	moments *moments // of the answer's calendar
	status  threescale.Status
	body    []byte
}

func (r *reply) reset() {
	r.call.reset()
	r.weighing.Reset()
	*r = reply{
		call: r.call, weighing: r.weighing, body: r.body[:0],
		status: threescale.Status{UsageReports: r.status.UsageReports[:0]},
	}
}

func (r *reply) deny(code, reason string) { r.code, r.reason = code, reason }

// decide makes the decision of what is known. The usage of an authrep that is authorized is counted when it returns, at one
// moment with the decision, so that no two calls get the last of a limit. It reports false when the application was forgotten
// meanwhile, and has to be looked up again.
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
		r.err = a.resolve(r, app.Service())
	}
	if e.denied && (r.err == nil || r.err.Code != threescale.CodeMetricInvalid) {
		r.err = nil
		r.deny(e.code, e.words(&r.call))
	}
	if r.err != nil {
		return true
	}
	return a.weigh(r, app)
}

// undecided lets the mode decide.
func (a *Authorizer) undecided(r *reply) {
	r.plan = unknownPlan
	if r.err = r.door.refusal; r.err != nil {
		return
	}
	if a.options.Mode != Allow {
		r.deny(codeUnavailable, reasonUnavailable)
		return
	}
	if !r.authrep {
		return
	}
	if r.err = a.resolve(r, a.quota.Service(r.service())); r.err == nil && r.code == "" {
		w := a.weighingOf(r)
		r.booked = a.quota.Reserve(w, r.name())
		r.now = w.Now
	}
}

// resolve finds the metrics of the call, in the order written, up to the first fault (backend.md, section 5). The mode decides
// about a metric that could not be asked about.
func (a *Authorizer) resolve(r *reply, s *quota.Service) *threescale.Error {
	for i := range r.asked {
		x := &r.asked[i]
		if x.Fault != nil {
			return x.Fault
		}
		if !askable(x.Name) || !r.door.takes(x.Name) {
			return threescale.MetricInvalid(x.Name)
		}
		x.Metric = x.In(s)
		switch {
		case x.Metric != nil && x.Metric.Known(r.now, r.life):
		case r.source != FromBackend && a.options.Mode == Allow && (x.Metric == nil || !x.Metric.EverDenied()):
			x.Metric = s.Follow(x.Name)
		case r.source == FromBackend || x.Metric != nil && x.Metric.Denied():
			return threescale.MetricInvalid(x.Name)
		default:
			r.deny(codeUnavailable, reasonUnavailable)
		}
	}
	return nil
}

// weighingOf is the question of a call to the application's limits.
func (a *Authorizer) weighingOf(r *reply) *quota.Weighing {
	w := &r.weighing
	w.Asked, w.HasUsage, w.FlatUsage = r.asked, r.asks, r.options.FlatUsage
	w.Denied, w.Reserve, w.Now = r.code != "", r.authrep, r.now
	return w
}

// weigh holds the call against the limits of its application. It reports false as decide does.
func (a *Authorizer) weigh(r *reply, app *quota.Application) bool {
	w := a.weighingOf(r)
	if !app.Weigh(w) {
		return false
	}
	r.now, r.plan = w.Now, w.Plan
	r.moments = a.moments.of(w.Calendar)
	switch {
	case w.Exceeded:
		r.deny(threescale.CodeLimitsExceeded, "usage limits are exceeded")
	case r.authrep && !w.Denied:
		r.booked = app
	}
	return true
}

// exceeded is the largest amount by which a counter of the call is above its limit already.
func (r *reply) exceeded() (most int64) {
	for i := range r.weighing.Reports {
		most = max(most, r.weighing.Reports[i].Current-r.weighing.Reports[i].Max)
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
	for i := range r.weighing.Reports {
		p := &r.weighing.Reports[i]
		if !r.candidate(p.Metric) {
			continue
		}
		n := r.fitting(p)
		if kept < 0 || n < calls || calls == -1 && n != -1 || n == calls && p.Period < r.weighing.Reports[kept].Period {
			kept, calls = i, n
		}
	}
	if calls < 0 {
		return headers{remaining: -1, reset: -1}
	}
	h := headers{remaining: calls, reset: -1, max: r.weighing.Reports[kept].Max}
	if p := &r.weighing.Reports[kept]; p.Period != threescale.Eternity {
		left := time.Unix(p.End, 0).Sub(r.now)
		h.reset = int64((left + time.Second - 1) / time.Second)
	}
	return h
}

// candidate reports whether a metric was asked for, itself or through a descendant.
func (r *reply) candidate(m *quota.Metric) bool {
	for i := range r.asked {
		if r.asked[i].Metric != nil && r.asked[i].Metric.Under(m) {
			return true
		}
	}
	return len(r.asked) == 0
}

func (r *reply) fitting(p *quota.Report) int64 {
	left := p.Max - p.Shown
	if left <= 0 {
		return 0
	}
	if each := quota.Below(p.Metric, r.asked, 0); each > 0 {
		return left / each
	}
	return -1
}
