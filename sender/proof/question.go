package proof

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Failure is a question that got no answer it could be learned from.
type Failure struct {
	Answer *threescale.Answer // nil: none came
	Err    error
}

// ask asks the backend one question and notes what the answer proves. It makes one call, and for metrics
// behind a denial a second one.
func (p *Proofs) ask(ctx context.Context, c *threescale.Client, s Scope, q Question) *Failure {
	call := &threescale.AuthorizeCall{
		ServiceID: s.ServiceID, Credentials: s.Credentials, Application: q.Application,
		Options: threescale.Options{RejectionReasonHeader: true},
	}
	if q.Metric != "" {
		call.Usage = threescale.Usage{{Metric: q.Metric}}
	}
	if len(call.AppendQuery(nil)) > threescale.MaxQuery {
		p.cannotAsk(p.keyOf(s, q), time.Now())
		return nil
	}
	asked := time.Now()
	answer, err := c.Authorize(ctx, call)
	if err != nil {
		return &Failure{Err: err}
	}
	if q.Metric != "" && denied(answer) && answer.Code != threescale.CodeLimitsExceeded {
		// The denial came before the metrics were looked at. With no_body they are looked at first.
		p.Prove(s, q.Application, nil, asked)
		call.Options.NoBody = true
		asked = time.Now()
		if answer, err = c.Authorize(ctx, call); err != nil {
			return &Failure{Err: err}
		}
	}
	return p.learn(s, q, answer, call.Options.NoBody, asked)
}

func (p *Proofs) keyOf(s Scope, q Question) key {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q.Metric != "" {
		return p.metric(s, q.Metric)
	}
	return p.application(s, q.Application)
}

// learn notes what the answer to a question that was put at asked proves.
func (p *Proofs) learn(s Scope, q Question, a *threescale.Authorization, bare bool, asked time.Time) *Failure {
	now := time.Now()
	switch {
	case a.Status == http.StatusOK && genuine(a, bare), denied(a):
		var metrics []string
		if q.Metric != "" {
			metrics = []string{q.Metric}
		}
		p.Prove(s, q.Application, metrics, asked)
	case bare && a.Status == http.StatusNotFound && genuine(a, bare):
		// The code is lost with the body; the application was proved a moment ago, so it is the metric.
		text := threescale.MetricInvalid(q.Metric)
		p.deny(p.keyOf(s, q), Refusal{Status: text.Status, Code: text.Code, Text: text.Text}, now)
	case a.Code == threescale.CodeMetricInvalid && q.Metric != "":
		p.Prove(s, q.Application, nil, asked)
		p.deny(p.keyOf(s, q), Refusal{Status: a.Status, Code: a.Code, Text: a.Text}, now)
	case a.Code == threescale.CodeBadRequest, a.Code == threescale.CodeNotValidData:
		p.cannotAsk(p.keyOf(s, q), now) // it does not like the name, and would not another time
	case a.Code == threescale.CodeApplicationNotFound, a.Code == threescale.CodeUserKeyInvalid:
		p.unknown(s, q.Application, a, now)
	default:
		return &Failure{Answer: &a.Answer}
	}
	return nil
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
