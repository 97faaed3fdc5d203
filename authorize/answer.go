package authorize

import (
	"net/http"
	"strconv"
	"time"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
)

// Header values as the backend sends them. They are shared by all answers, therefore never changed.
var (
	xmlType       = []string{"application/vnd.3scale-v2.0+xml"}
	anyOrigin     = []string{"*"}
	exposeHeaders = []string{"ETag, Link, 3scale-rejection-reason"}
	policy        = []string{"default-src 'self'"}
	nosniff       = []string{"nosniff"}
	none          = []string{"-1"}
)

// compose makes the body of an answer to one of the GET calls, and returns its status: 200 or 409 with a
// <status>, 403 or 404 with an <error>. Nothing else, since clients cannot live with it: what the backend
// refuses with 400 or 422 is 403 (clients.md, section 4).
func (r *reply) compose() (status int) {
	switch {
	case r.err != nil:
		status = http.StatusForbidden
		if r.err.Status == http.StatusNotFound {
			status = http.StatusNotFound
		}
		if !r.noBody {
			r.body = r.err.AppendXML(r.body[:0])
		}
		return status
	case r.code != "":
		status = http.StatusConflict
	default:
		status = http.StatusOK
	}
	if !r.noBody {
		r.body = r.appendDocument(r.body[:0])
	}
	return status
}

// hasPolicy, hasReason and hasLimits report whether an answer has headers that not every answer has.
func (r *reply) hasPolicy() bool { return r.err == nil || r.err.Empty }
func (r *reply) hasReason() bool {
	return r.err == nil && r.code != "" && r.options.RejectionReasonHeader
}
func (r *reply) hasLimits() bool {
	return r.err == nil && r.options.LimitHeaders && (r.code == "" || r.code == threescale.CodeLimitsExceeded)
}

// write sends the answer by net/http; appendAnswer says the same in bytes.
func (r *reply) write(w http.ResponseWriter) {
	status := r.compose()
	h := w.Header()
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["Access-Control-Expose-Headers"] = exposeHeaders
	h["X-Content-Type-Options"] = nosniff
	h["Content-Type"] = xmlType
	if r.hasPolicy() {
		h["Content-Security-Policy"] = policy
	}
	if r.hasReason() {
		h["3scale-Rejection-Reason"] = []string{r.code}
	}
	if r.hasLimits() {
		r.limitHeaders().write(h)
	}
	h["Content-Length"] = []string{strconv.Itoa(len(r.body))}
	w.WriteHeader(status)
	_, _ = w.Write(r.body) // an error here is the caller's connection, which net/http closes
}

func (l headers) write(h http.Header) {
	if l.remaining < 0 {
		h["3scale-Limit-Remaining"], h["3scale-Limit-Reset"] = none, none
		return
	}
	h["3scale-Limit-Remaining"] = []string{strconv.FormatInt(l.remaining, 10)}
	h["3scale-Limit-Reset"] = []string{strconv.FormatInt(l.reset, 10)}
	h["3scale-Limit-Max-Value"] = []string{strconv.FormatInt(l.max, 10)}
}

// document is the <status> of the answer, as the backend would have sent it now.
func (r *reply) document() *threescale.Status {
	st := &r.status
	st.Authorized, st.Reason, st.Plan = r.code == "", r.reason, r.plan
	if st.Plan == "" {
		st.Plan = unknownPlan
	}
	for i := range r.weighing.Reports {
		st.UsageReports = append(st.UsageReports, usageReport(&r.weighing.Reports[i]))
	}
	if r.options.Hierarchy {
		st.Hierarchy = r.weighing.Children
		if st.Hierarchy == nil {
			st.Hierarchy = []threescale.MetricChildren{}
		}
	}
	e := r.entry
	if e == nil {
		return st
	}
	st.AppKeys = e.keys
	if e.oauth != nil {
		own := *e.oauth
		own.RedirectIsURI = r.redirectURI.present && !r.redirectURL.present
		st.Application = &own
	}
	return st
}

func usageReport(p *quota.Report) threescale.UsageReport {
	u := threescale.UsageReport{
		Metric: p.Metric.Name(), Period: p.Period, MaxValue: p.Max, CurrentValue: p.Shown, Exceeded: p.Current > p.Max,
	}
	if p.Period != threescale.Eternity {
		u.PeriodStart, u.PeriodEnd = time.Unix(p.Start, 0).UTC(), time.Unix(p.End, 0).UTC()
	}
	return u
}
