package authorize

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
)

const (
	maxFirst         = 3                      // how often the first question about an application is put
	maxQuiescentWait = 500 * time.Millisecond // for reports in flight, before the first question
)

// inquiry asks the backend one question and remembers what it says. One goroutine has it.
type inquiry struct {
	*Authorizer
	flight  *flight
	service *quota.Service
	breaker *breaker
	call    call
	metrics []string  // that the call names
	begun   time.Time // when the backend was asked, last

	question *threescale.AuthorizeCall
	followed *quota.Application // not forgotten before the answer is taken; nil: it was not followed
	before   quota.Snapshot     // of it at begun
}

// unsettled lists the metrics of a call that can exist and are not known not to, which mode none never knows.
func (i *inquiry) unsettled(c *call, now time.Time) []string {
	var names []string
	for n := range c.asked {
		x := &c.asked[n]
		if x.Fault != nil || !askable(x.Name) || !c.door.takes(x.Name) || slices.Contains(names, x.Name) {
			continue
		}
		if m := i.service.Find(x.Name); m == nil || i.options.Mode == None || !m.Unknown(now, i.options.DenyTTL) {
			names = append(names, x.Name)
		}
	}
	return names
}

func (i *inquiry) run() {
	defer i.flights.land(i.call.key, i.flight)
	ctx, cancel := context.WithTimeout(context.Background(), i.options.Timeout)
	defer cancel()
	answer, err := i.inquire(ctx)
	defer i.release()
	now := time.Now()
	if err != nil || !isAnswer(answer) {
		i.unavailable(answer, err, now)
		return
	}
	if i.breaker.report(answered, now) {
		i.log.Info("authorizations are answered by the backend again", zap.String("service_id", i.call.door.serviceID))
	}
	i.take(ctx, answer, now)
}

// release lets what was followed be forgotten, and forgets what can be: answers bring applications in, also where
// nothing is reported.
func (i *inquiry) release() {
	if i.followed != nil {
		i.followed.Release()
	}
	i.quota.Sweep(time.Now())
}

// inquire asks. The first answer about an application sets its counters, so there it should not be left
// open whether a report was counted in it: reports in flight are waited for, though not long, and if one
// went out or came back meanwhile the question is put again.
func (i *inquiry) inquire(ctx context.Context) (answer *threescale.Authorization, err error) {
	app := i.quota.Find(i.call.name())
	i.followed = app
	patience, cancel := context.WithTimeout(ctx, maxQuiescentWait)
	defer cancel()
	for range maxFirst {
		if app != nil {
			app.WaitQuiescent(patience)
			i.before = app.Snapshot()
		}
		i.begun = time.Now()
		answer, err = i.send(ctx, i.question)
		i.counters.asked(time.Since(i.begun))
		if app == nil || err != nil || app.Settled(i.before) {
			break
		}
	}
	return answer, err
}

func tooLong() *threescale.Error {
	return &threescale.Error{Status: http.StatusForbidden, Code: threescale.CodeBadRequest, Text: "the call is too long for the backend"}
}

func (i *inquiry) send(ctx context.Context, q *threescale.AuthorizeCall) (answer *threescale.Authorization, err error) {
	if i.call.oauth {
		answer, err = i.options.Client.OAuthAuthorize(ctx, q)
	} else {
		answer, err = i.options.Client.Authorize(ctx, q)
	}
	if err == nil && i.options.OnDenial != nil {
		i.revoke(q, answer)
	}
	return answer, err
}

// revoke tells Options.OnDenial which application or metric an answer denies.
func (i *inquiry) revoke(q *threescale.AuthorizeCall, answer *threescale.Authorization) {
	d := Denial{Status: answer.Status, Code: answer.Code, Text: answer.Text}
	switch {
	case answer.Code == threescale.CodeApplicationNotFound, answer.Code == threescale.CodeUserKeyInvalid:
	case answer.Code == threescale.CodeMetricInvalid:
		for n := range q.Usage {
			if name := q.Usage[n].Metric; len(q.Usage) == 1 || answer.Text == threescale.MetricInvalid(name).Text {
				d.Metric = name
			}
		}
		if d.Metric == "" {
			return
		}
	case q.Options.NoBody && len(q.Usage) == 1 && answer.Status == http.StatusNotFound: // as in verify
		d.Metric = q.Usage[0].Metric
		text := threescale.MetricInvalid(d.Metric)
		d.Code, d.Text = text.Code, text.Text
	default:
		return
	}
	i.options.OnDenial(i.call.door.serviceID, i.call.door.passed, i.call.application, d)
}

// isAnswer reports whether an answer is the backend's own: a <status>, or an <error> that is not its
// failure. A web page of a proxy is not, with any status.
func isAnswer(a *threescale.Authorization) bool {
	switch a.Status {
	case http.StatusOK, http.StatusConflict:
		return a.Verdict != nil && a.Verdict.Authorized == (a.Status == http.StatusOK)
	case http.StatusForbidden, http.StatusNotFound, http.StatusBadRequest, http.StatusUnprocessableEntity:
		return a.Code != ""
	}
	return false
}

// unavailable notes that the backend gave no answer of its own.
func (i *inquiry) unavailable(answer *threescale.Authorization, err error, now time.Time) {
	i.flight.err = errUnavailable
	i.counters.failures.Add(1)
	if !i.breaker.report(resultOf(err), now) {
		return
	}
	status := 0
	if answer != nil {
		status = answer.Status
	}
	i.log.Warn("cannot ask 3scale for authorizations: they are answered as authorize.mode says",
		zap.String("service_id", i.call.door.serviceID), zap.Stringer("mode", i.options.Mode),
		zap.Int("status", status), zap.Error(err))
}

// take remembers an answer.
func (i *inquiry) take(ctx context.Context, answer *threescale.Authorization, now time.Time) {
	if answer.Status == http.StatusNotFound && answer.Code == threescale.CodeMetricInvalid {
		i.deny(answer.Text, now)
		return
	}
	e := &entry{detail: &usual, key: i.call.key, asked: i.begun, answered: now}
	if answer.Verdict == nil {
		e.status, e.detail = int16(answer.Status), &detail{code: answer.Code, text: answer.Text}
		i.good.drop(e.key)
		i.bad.put(e)
		return
	}
	i.verdict(ctx, e, answer, now)
	if e.denied {
		i.good.drop(e.key)
		i.bad.put(e)
		return
	}
	i.bad.drop(e.key)
	i.good.put(e)
}

// deny notes that a metric does not exist. Nothing is known of the rest then, except that nothing
// before it was wrong.
func (i *inquiry) deny(text string, now time.Time) {
	for _, name := range i.metrics {
		if text == threescale.MetricInvalid(name).Text || len(i.metrics) == 1 {
			i.service.Metric(name).MarkDenied(now)
			return
		}
	}
	i.flight.refused = &threescale.Error{Status: http.StatusNotFound, Code: threescale.CodeMetricInvalid, Text: text}
}

// verdict reads a <status>.
func (i *inquiry) verdict(ctx context.Context, e *entry, answer *threescale.Authorization, now time.Time) {
	st := answer.Verdict
	moved := false
	if k := st.AppKeys; k != nil {
		moved = i.quota.LearnNames(i.call.name(), k.ServiceID, k.ApplicationID)
		i.service = i.quota.Service(i.call.service())
	}
	e.application = i.quota.Refer(i.call.name(), i.service)
	if moved { // what was counted under another name when the backend was asked is here now
		i.before = e.application.Snapshot()
	}
	i.service = e.application.Service() // where its metrics are looked for, should there be no room for services
	first := !e.application.Learned()
	learned := e.application.Learn(st, i.begun, now, i.before)
	raise(&i.counters.unseen, learned.Others)
	raise(&i.counters.behind, learned.Unseen)
	i.describe(e, answer)
	if e.denied {
		i.prove(nil)
		i.verify(ctx, now)
		return
	}
	for _, name := range i.metrics {
		i.service.Metric(name).MarkSeen(now)
	}
	i.prove(i.metrics)
	i.probeHierarchy(ctx, answer, first)
}

// describe sets what an answer says beside its application.
func (i *inquiry) describe(e *entry, answer *threescale.Authorization) {
	st := answer.Verdict
	d := detail{oauth: st.Application}
	if i.call.options.ListAppKeys {
		d.keys = st.AppKeys
	}
	if answer.Status == http.StatusConflict {
		code := rejection(answer)
		if e.denied = code != threescale.CodeLimitsExceeded; e.denied {
			d.code = code
		}
		if e.denied && !repeats(code) {
			d.reason = strings.Clone(st.Reason)
		}
	}
	if d != usual {
		e.detail = &d
	}
}

func (i *inquiry) prove(metrics []string) {
	if i.options.OnProof != nil {
		i.options.OnProof(i.call.door.serviceID, i.call.door.passed, i.call.application, metrics, i.begun)
	}
}

// verify asks whether metrics exist that a denial did not look at, for a caller without a body: there
// the backend looks at them first (recording auth-wrong-key-and-metric-no-body).
func (i *inquiry) verify(ctx context.Context, now time.Time) {
	if !i.call.noBody {
		return
	}
	for n, name := range i.metrics {
		if n == maxProbes {
			return
		}
		q := i.call.question([]string{name})
		q.Options = threescale.Options{NoBody: true}
		switch one, err := i.send(ctx, q); {
		case err != nil:
			return
		case one.Status == http.StatusNotFound:
			i.service.Metric(name).MarkDenied(now)
		case one.Status == http.StatusConflict:
			i.service.Metric(name).MarkSeen(now)
		}
	}
}

// rejection is the code of a denial: as the header has it, or else by the text, for a backend that does
// not know the header.
func rejection(a *threescale.Authorization) string {
	if a.Rejection != "" {
		return a.Rejection
	}
	for _, known := range []struct{ text, code string }{
		{"usage limits are exceeded", threescale.CodeLimitsExceeded},
		{"application key ", threescale.CodeApplicationKeyInvalid},
		{"application is not active", threescale.CodeApplicationNotActive},
		{"service is not active", threescale.CodeServiceNotActive},
		{"referrer ", threescale.CodeReferrerNotAllowed},
		{"redirect_url ", threescale.CodeRedirectURLInvalid},
		{"redirect_uri ", threescale.CodeRedirectURIInvalid},
		{"oauth is not enabled", threescale.CodeOAuthNotEnabled},
	} {
		if strings.HasPrefix(a.Verdict.Reason, known.text) {
			return known.code
		}
	}
	return "denied"
}
