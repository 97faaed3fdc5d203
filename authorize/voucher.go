package authorize

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
)

const (
	// vouchLife is how long credentials that the backend accepted are accepted without asking again. When it refuses a report
	// with them meanwhile, Refused says so.
	vouchLife = 5 * time.Minute
	// maxVouched bounds how many pairs of a service and credentials are remembered.
	maxVouched = 100_000
	// maxUnchecked bounds how many pairs that could not be asked about are taken: each is a queue of the sender.
	maxUnchecked = 1000
	// maxVouching bounds how many questions are asked at once, so that strangers leave most connections to authorizations.
	maxVouching = 8
)

// voucher knows which credentials of services that are not configured the backend accepts.
type voucher struct {
	breaker breaker       // of all questions: a pair that is asked about first has no failures of its own
	asking  chan struct{} // a place for each question

	mu        sync.Mutex // guards what follows
	known     map[digest]*vouched
	unchecked map[digest]struct{} // pairs that were taken since the backend could be asked last
}

// vouched is what is known about a pair of a service and credentials.
type vouched struct {
	done   chan struct{} // closed when the question was answered, or failed; then what follows may be read
	status int           // of a refusal; 0: accepted
	code   string
	text   string    // for codes without a text of ours
	until  time.Time // zero: the backend could not be asked
}

// CredentialsRefused reports whether a code says that the backend does not accept the credentials of a call.
func CredentialsRefused(code string) bool {
	switch code {
	case threescale.CodeServiceTokenInvalid, threescale.CodeProviderKeyInvalid, threescale.CodeProviderKeyInvalidOrServiceMissing,
		threescale.CodeServiceIDInvalid:
		return true
	}
	return false
}

// Vouch returns the backend's refusal of credentials, in its words, or nil: it accepts them, or cannot be asked now. They are
// asked about when they are seen first, by one question however many reports come with them, and again when the answer is older
// than DenyTTL (a refusal) or five minutes. app is an application of the report; the backend looks at the credentials before it.
// It waits for Options.Timeout at most, or until ctx ends. While the backend cannot be asked, reports with more than maxUnchecked
// different pairs are refused with status 503.
func (a *Authorizer) Vouch(ctx context.Context, serviceID string, c threescale.Credentials, app threescale.Application) *threescale.Error {
	asked := &call{door: door{serviceID: serviceID, credentials: c, passed: c}}
	key := a.digest(asked)
	asked.application = app
	v, first := a.voucher.join(key, time.Now())
	if first {
		go a.vouch(asked, key, v) // ended by Options.Timeout
	}
	select {
	case <-v.done:
	case <-ctx.Done():
		return nil
	}
	switch {
	case v.until.IsZero() && !a.voucher.take(key):
		return &threescale.Error{
			Status: http.StatusServiceUnavailable, Code: codeUnavailable, Text: textNotJudged,
		}
	case v.status == 0:
		return nil
	}
	e := &entry{status: int16(v.status), detail: &detail{code: v.code, text: v.text}}
	return e.error(asked)
}

// ServiceID returns the id that the backend has for a service, as far as it is known: beside a provider key no id, or one with a
// dash, is another name. It does not ask; Vouch does.
func (a *Authorizer) ServiceID(serviceID string, c threescale.Credentials) (id string, resolved bool) {
	n := a.quota.ResolveService(quota.ServiceName{ID: serviceID, Credentials: c})
	return n.ID, !n.Aliased()
}

// join returns what is known about a key; first says that the caller has to ask.
func (v *voucher) join(key digest, now time.Time) (known *vouched, first bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	known = v.known[key]
	if known != nil && (known.open() || now.Before(known.until)) {
		return known, false
	}
	if len(v.known) >= maxVouched {
		v.clearLocked(now)
	}
	known = &vouched{done: make(chan struct{})}
	v.known[key] = known
	return known, true
}

// take reports whether a pair that could not be asked about may be taken.
func (v *voucher) take(key digest) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, taken := v.unchecked[key]; !taken && len(v.unchecked) >= maxUnchecked {
		return false
	}
	v.unchecked[key] = struct{}{}
	return true
}

// answered notes that the backend can be asked.
func (v *voucher) answered() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.unchecked)
}

// open reports whether the question is on its way.
func (v *vouched) open() bool {
	select {
	case <-v.done:
		return false
	default:
		return true
	}
}

// clearLocked makes room: it forgets what is too old, and if that is not enough, all that is answered.
func (v *voucher) clearLocked(now time.Time) {
	for key, one := range v.known {
		if !one.open() && !now.Before(one.until) {
			delete(v.known, key)
		}
	}
	if len(v.known) < maxVouched {
		return
	}
	for key, one := range v.known {
		if !one.open() {
			delete(v.known, key)
		}
	}
}

// vouch asks the backend.
func (a *Authorizer) vouch(c *call, key digest, v *vouched) {
	defer close(v.done)
	if a.voucher.breaker.open(time.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.options.Timeout)
	defer cancel()
	select {
	case a.voucher.asking <- struct{}{}:
		defer func() { <-a.voucher.asking }()
	case <-ctx.Done(): // too many are asked about: that says nothing about the backend
		return
	}
	if !a.voucher.breaker.allow(time.Now()) {
		return
	}
	began := time.Now()
	q := c.question(nil)
	q.Options.ListAppKeys = a.quota.Unresolved(c.name())
	answer, err := a.options.Client.Authorize(ctx, q)
	a.counters.asked(time.Since(began))
	now := time.Now()
	if err != nil || !isAnswer(answer) {
		a.counters.failures.Add(1)
		a.voucher.breaker.report(resultOf(err), now)
		return
	}
	a.voucher.breaker.report(answered, now)
	a.voucher.answered()
	if answer.Verdict != nil && answer.Verdict.AppKeys != nil {
		a.quota.LearnNames(c.name(), answer.Verdict.AppKeys.ServiceID, answer.Verdict.AppKeys.ApplicationID)
	}
	v.until = now.Add(vouchLife)
	if a.quota.ResolveService(c.service()).Aliased() { // the application is unknown: the next one may tell what the service is
		v.until = now.Add(a.options.DenyTTL)
	}
	if answer.Status == http.StatusForbidden && CredentialsRefused(answer.Code) {
		v.status, v.code, v.text, v.until = answer.Status, answer.Code, answer.Text, now.Add(a.options.DenyTTL)
	}
}

// Refused notes that the backend refused a report with credentials of a service that is not configured: they are refused at the
// door for DenyTTL, and then asked about.
func (a *Authorizer) Refused(serviceID string, c threescale.Credentials, status int, code string) {
	if c.IsZero() || !CredentialsRefused(code) {
		return
	}
	key := a.digest(&call{door: door{serviceID: serviceID, credentials: c}})
	v := &vouched{done: make(chan struct{}), status: status, code: code, until: time.Now().Add(a.options.DenyTTL)}
	close(v.done)
	a.voucher.mu.Lock()
	defer a.voucher.mu.Unlock()
	if known := a.voucher.known[key]; known == nil || !known.open() {
		a.voucher.known[key] = v
	}
}
