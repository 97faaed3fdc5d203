package sandbox

import (
	"net/http"

	"github.com/reporterd/reporterd/threescale"
)

// authorize answers the GET calls. It counts nothing; an authorized authrep queues a job. The caller
// holds s.mu.
func (s *Sandbox) authorize(c *call) *answer {
	d := &decision{params: c.params, options: c.options, oauth: c.oauth, authrep: c.kind == authrepCall, at: c.at, now: c.now, late: c.late, view: c.view}
	if err := s.decide(d); err != nil {
		if d.service != nil {
			s.remember(IntegrationError{ServiceID: d.service.id, At: c.now.UTC()}, err)
		}
		return refused(err, noBody(c.params, c.options))
	}
	if d.authrep && d.denial == nil {
		s.queueAuthrep(d)
	}
	return d.answer(noBody(c.params, c.options))
}

// decide takes the checks in the backend's order, up to an error or a denial or neither.
func (s *Sandbox) decide(d *decision) error {
	if !d.params.ValidUTF8() {
		return threescale.NotValidData()
	}
	a, err := d.view.admit(d.params, false, d.at)
	if err != nil {
		return err
	}
	if d.params.Get("user_id").Kind() != threescale.Absent {
		return threescale.EndUsersNoLongerSupported()
	}
	if kind := d.params.Get("usage").Kind(); kind != threescale.Absent && kind != threescale.Nil && kind != threescale.Hash {
		return threescale.UsageNotHash()
	}
	if err := d.view.resolve(&a, d.at); err != nil {
		return err
	}
	d.service = a.service
	if d.application, err = d.view.identify(d.service, d.params, d.oauth, d.at); err != nil {
		return err
	}
	d.counters = s.ledger(d.service.id).applications[d.application.id]
	if noBody(d.params, d.options) {
		if err := d.checkMetrics(); err != nil {
			return err
		}
	}
	return d.validate()
}

// queueAuthrep hands an authorized call's usage and code to the worker. Usage of 0 alone, without a
// code, is no job.
func (s *Sandbox) queueAuthrep(d *decision) {
	usage, _ := d.usage()
	code := d.params.Get("log").Get("code")
	if !anyNonZero(usage) && code.Kind() == threescale.Absent {
		return
	}
	s.enqueueLate(&job{
		service: d.service,
		flat:    d.options.FlatUsage,
		transactions: []pending{{
			application: d.application.id,
			raw:         threescale.RawTransaction{Usage: usage, Code: code},
		}},
	}, d.at.Add(d.late), d.at)
}

// anyNonZero reports whether some entry of a usage hash is not exactly 0.
func anyNonZero(usage threescale.Value) bool {
	for i := range usage.Len() {
		if _, v := usage.Entry(i); v.Text() != "0" {
			return true
		}
	}
	return false
}

// noBody reports whether the caller wants no body: the option, or the deprecated parameter.
func noBody(params threescale.Value, o threescale.Options) bool {
	return o.NoBody || threescale.ParseNoBody(params.Get("no_body"))
}

// answer is the 200 or the 409.
func (d *decision) answer(noBody bool) *answer {
	a := plainAnswer(http.StatusOK)
	if d.denial != nil {
		a.status = http.StatusConflict
		if d.options.RejectionReasonHeader {
			a.header.Set("3scale-Rejection-Reason", d.denial.code)
		}
	}
	if d.options.LimitHeaders && (d.denial == nil || d.denial.code == threescale.CodeLimitsExceeded) {
		d.setLimitHeaders(a.header)
	}
	if !noBody {
		a.body = d.status().AppendXML(nil, false)
	}
	return a
}

// status is the <status> document.
func (d *decision) status() *threescale.Status {
	st := &threescale.Status{Authorized: d.denial == nil, Plan: d.application.plan.name}
	if d.denial != nil {
		st.Reason = d.denial.reason
	}
	if d.oauth {
		name, _ := d.redirect()
		st.Application = &threescale.OAuthApplication{
			ID: d.application.id, Key: d.application.key(),
			RedirectURL: d.application.redirectURL, RedirectIsURI: name == "redirect_uri",
		}
	}
	for _, l := range d.limits() {
		st.UsageReports = append(st.UsageReports, d.usageReport(l))
	}
	if d.options.ListAppKeys {
		st.AppKeys = &threescale.AppKeys{ApplicationID: d.application.id, ServiceID: d.service.id, Keys: d.application.keys}
	}
	if d.options.Hierarchy {
		st.Hierarchy = d.hierarchy()
	}
	return st
}

func (d *decision) usageReport(l limit) threescale.UsageReport {
	return threescale.UsageReport{
		Metric:       d.service.metrics.metrics[l.metric].name,
		Period:       l.period,
		PeriodStart:  l.period.Start(d.now),
		PeriodEnd:    l.period.End(d.now),
		MaxValue:     int64(min(l.maximum, overflow)),
		CurrentValue: int64(min(d.current(l), overflow)),
		Exceeded:     d.counters.value(l.metric, l.period, d.now) > l.maximum,
	}
}

// hierarchy has one entry per usage report, so a metric may be repeated, and one without limits is missing
// (recording auth-ext-hierarchy).
func (d *decision) hierarchy() []threescale.MetricChildren {
	entries := make([]threescale.MetricChildren, 0, len(d.limits()))
	for _, l := range d.limits() {
		entries = append(entries, threescale.MetricChildren{
			Metric:   d.service.metrics.metrics[l.metric].name,
			Children: d.service.metrics.childNames(l.metric),
		})
	}
	return entries
}
