package proof

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Failure is a question that got no answer it could be learned from.
type Failure struct {
	Answer *threescale.Answer // nil: none came
	Err    error
}

// call is one question to the backend: about metrics by way of an application, and about the application itself.
type call struct {
	application threescale.Application
	both        bool // the application is asked about, too; without metrics it always is
	metrics     []string
}

// several reports whether a call asks about more than one name.
func (q call) several() bool { return len(q.metrics) > 1 || q.both && len(q.metrics) > 0 }

// finding is what an answer left open.
type finding struct {
	left    []string // metrics about which it says nothing
	gone    bool     // the application does not exist, or cannot be asked for
	unclear bool     // it refuses one of several names and does not say which: each has to be asked for by itself
	failure *Failure // nothing can be learned from it
}

// ask asks one question and notes what the answer proves. It makes one call, and for metrics behind a denial a second one.
func (p *Proofs) ask(ctx context.Context, c *threescale.Client, s Scope, q call) (f finding) {
	query := &threescale.AuthorizeCall{
		ServiceID: s.ServiceID, Credentials: s.Credentials, Application: q.application,
		Options: threescale.Options{RejectionReasonHeader: true},
	}
	query.Options.ListAppKeys = p.unresolved != nil && p.unresolved(s, q.application)
	for _, m := range q.metrics {
		query.Usage = append(query.Usage, threescale.Increment{Metric: m})
	}
	for len(query.AppendQuery(nil)) > threescale.MaxQuery {
		if !q.several() {
			p.cannotAsk(p.last(s, q), time.Now())
			return f
		}
		last := len(q.metrics) - 1
		f.left = append(f.left, q.metrics[last])
		q.metrics, query.Usage = q.metrics[:last], query.Usage[:last]
	}
	asked := time.Now()
	answer, err := c.Authorize(ctx, query)
	if err != nil {
		f.failure = &Failure{Err: err}
		return f
	}
	if answer.Verdict != nil && answer.Verdict.AppKeys != nil && query.Options.ListAppKeys {
		p.named(s, q.application, answer.Verdict.AppKeys.ServiceID, answer.Verdict.AppKeys.ApplicationID)
	}
	if len(q.metrics) > 0 && denied(answer) && answer.Code != threescale.CodeLimitsExceeded {
		// The denial came before the metrics were looked at. With no_body they are looked at first.
		p.Prove(s, q.application, nil, asked)
		query.Options.NoBody = true
		asked = time.Now()
		if answer, err = c.Authorize(ctx, query); err != nil {
			f.failure = &Failure{Err: err}
			return f
		}
	}
	p.learn(s, q, answer, query.Options.NoBody, asked, &f)
	return f
}

// last is the subject that a call of one metric, or of none, asks for.
func (p *Proofs) last(s Scope, q call) key {
	if len(q.metrics) > 0 {
		return p.keyOf(s, Question{Metric: q.metrics[0]})
	}
	return p.keyOf(s, Question{Application: q.application})
}

func (p *Proofs) keyOf(s Scope, q Question) key {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q.Metric != "" {
		return p.metric(s, q.Metric)
	}
	return p.application(s, q.Application)
}

// learn notes what the answer to a question that was put at asked proves, and in f what it leaves open.
func (p *Proofs) learn(s Scope, q call, a *threescale.Authorization, bare bool, asked time.Time, f *finding) {
	now := time.Now()
	switch {
	case a.Status == http.StatusOK && genuine(a, bare), denied(a):
		p.Prove(s, q.application, q.metrics, asked)
	case bare && a.Status == http.StatusNotFound && genuine(a, bare):
		// The code is lost with the body; the application was proved a moment ago, so it is a metric.
		if f.unclear = len(q.metrics) > 1; !f.unclear {
			text := threescale.MetricInvalid(q.metrics[0])
			p.deny(p.last(s, q), Refusal{Status: text.Status, Code: text.Code, Text: text.Text}, now)
		}
	case a.Code == threescale.CodeMetricInvalid && len(q.metrics) > 0:
		p.Prove(s, q.application, nil, asked)
		p.metricInvalid(s, q, a, now, f)
	case a.Code == threescale.CodeBadRequest, a.Code == threescale.CodeNotValidData:
		if f.unclear = q.several(); !f.unclear {
			p.cannotAsk(p.last(s, q), now) // it does not like the name, and would not another time
		}
	case a.Code == threescale.CodeApplicationNotFound, a.Code == threescale.CodeUserKeyInvalid:
		p.unknown(s, q.application, a, now)
		f.left, f.gone = append(f.left, q.metrics...), true
	default:
		f.failure = &Failure{Answer: &a.Answer}
	}
}

// metricInvalid notes that one of the metrics of a call does not exist: the first in the call that the backend does not know,
// named in its text.
func (p *Proofs) metricInvalid(s Scope, q call, a *threescale.Authorization, now time.Time, f *finding) {
	bad := 0
	if len(q.metrics) > 1 {
		bad = slices.IndexFunc(q.metrics, func(m string) bool { return a.Text == threescale.MetricInvalid(m).Text })
	}
	if bad < 0 {
		f.unclear = true
		return
	}
	p.deny(p.keyOf(s, Question{Metric: q.metrics[bad]}), Refusal{Status: a.Status, Code: a.Code, Text: a.Text}, now)
	f.left = append(append(f.left, q.metrics[:bad]...), q.metrics[bad+1:]...)
}

// unknown notes that an application was not found, or that this service's authorizations take another
// kind of name: by application id on a service of version 1, by user key on any other (recordings
// auth-appid-on-userkey-service, auth-userkey-on-appid-service).
func (p *Proofs) unknown(s Scope, a threescale.Application, answer *threescale.Authorization, now time.Time) {
	k := p.keyOf(s, Question{Application: a})
	if (a.UserKey != "") != (answer.Code == threescale.CodeUserKeyInvalid) {
		p.cannotAsk(k, now)
		return
	}
	p.deny(k, Refusal{Status: answer.Status, Code: answer.Code, Text: answer.Text}, now)
}

// denied reports whether an answer is the backend's 409, whose body need not be well-formed (recording
// reason-not-escaped).
func denied(a *threescale.Authorization) bool {
	return a.Status == http.StatusConflict && (a.Verdict != nil || a.Rejection != "" || strings.Contains(a.ContentType, "3scale"))
}

// genuine reports whether a 200 or 404 looks like the backend's own.
func genuine(a *threescale.Authorization, bare bool) bool {
	return a.Verdict != nil || bare && len(a.Body) == 0 && strings.Contains(a.ContentType, "xml")
}
