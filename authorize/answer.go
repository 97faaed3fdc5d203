package authorize

import (
	"net/http"
	"strconv"
	"time"

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

// write answers one of the GET calls: 200 or 409 with a <status>, 403 or 404 with an <error>. Nothing
// else, since clients cannot live with it: what the backend refuses with 400 or 422 is 403
// (clients.md, section 4).
func (r *reply) write(w http.ResponseWriter) {
	h := w.Header()
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["Access-Control-Expose-Headers"] = exposeHeaders
	h["X-Content-Type-Options"] = nosniff
	h["Content-Type"] = xmlType
	status := http.StatusOK
	switch {
	case r.err != nil:
		status = r.refusal(h)
	case r.code != "":
		status = http.StatusConflict
		h["Content-Security-Policy"] = policy
		if r.options.RejectionReasonHeader {
			h["3scale-Rejection-Reason"] = []string{r.code}
		}
	default:
		h["Content-Security-Policy"] = policy
	}
	if r.err == nil && r.options.LimitHeaders && (r.code == "" || r.code == threescale.CodeLimitsExceeded) {
		r.limitHeaders().write(h)
	}
	if !r.noBody && r.err == nil {
		r.body = r.appendDocument(r.body[:0])
	}
	h["Content-Length"] = []string{strconv.Itoa(len(r.body))}
	w.WriteHeader(status)
	_, _ = w.Write(r.body) // an error here is the caller's connection, which net/http closes
}

// refusal writes the headers and the body of an <error>, and returns its status.
func (r *reply) refusal(h http.Header) int {
	if r.err.Empty {
		h["Content-Security-Policy"] = policy
	}
	if !r.noBody {
		r.body = r.err.AppendXML(r.body[:0])
	}
	if r.err.Status == http.StatusNotFound {
		return http.StatusNotFound
	}
	return http.StatusForbidden
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
	for i := range r.reports {
		st.UsageReports = append(st.UsageReports, r.reports[i].usageReport())
	}
	if r.options.Hierarchy {
		st.Hierarchy = r.children
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

func (p *report) usageReport() threescale.UsageReport {
	u := threescale.UsageReport{
		Metric: p.metric.name, Period: p.period, MaxValue: p.max, CurrentValue: p.shown, Exceeded: p.current > p.max,
	}
	if p.period != threescale.Eternity {
		u.PeriodStart, u.PeriodEnd = time.Unix(p.start, 0).UTC(), time.Unix(p.end, 0).UTC()
	}
	return u
}
