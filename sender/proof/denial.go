package proof

import (
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Deny notes that the backend has denied an application, or the metric when it is not empty, in an answer that was
// not given to a Prober: to a client's authorize, or to a report. The proof ends at once, and the next batch with
// the application or the metric waits for a question. A denial of what is not remembered changes nothing, so that
// wrong names cannot drive out right ones. A denial of another kind of name than the call had, and one that says
// something else than that the application or the metric does not exist, is ignored.
func (p *Proofs) Deny(s Scope, a threescale.Application, metric string, refusal Refusal, now time.Time) {
	if !denies(a, metric, refusal.Code) {
		return
	}
	k := p.keyOf(s, Question{Application: a, Metric: metric})
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, known := p.records[k]; known {
		p.putLocked(k, r.refused(refusal, now))
	}
}

// denies reports whether a code says that the application, or the metric when it is not empty, does not exist.
func denies(a threescale.Application, metric, code string) bool {
	switch code {
	case threescale.CodeMetricInvalid:
		return metric != ""
	case threescale.CodeApplicationNotFound:
		return metric == "" && a.ID != "" && a.UserKey == ""
	case threescale.CodeUserKeyInvalid:
		return metric == "" && a.ID == "" && a.UserKey != ""
	}
	return false
}

// Revoke ends the proof of an application, or of the metric when it is not empty, because there is reason to doubt
// it: it is asked for again before it shares a report.
func (p *Proofs) Revoke(s Scope, a threescale.Application, metric string) {
	k := p.keyOf(s, Question{Application: a, Metric: metric})
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, known := p.records[k]; known && r.until > 0 {
		r.until = 1 // long ago: its question goes before those about names that were never proven
		p.putLocked(k, r)
	}
}

// RevokeAll ends every proof, because there is reason to doubt one of which the name is not known.
func (p *Proofs) RevokeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, r := range p.records {
		if r.until > 0 {
			r.until = 1
			p.putLocked(k, r)
		}
	}
}

// deny notes that the backend has just answered a question: it does not know a subject.
func (p *Proofs) deny(k key, refusal Refusal, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.putLocked(k, p.records[k].refused(refusal, now))
}

// refused is the record after a denial.
func (r record) refused(refusal Refusal, now time.Time) record {
	r.until, r.unaskable, r.denied, r.refusal = 0, 0, uint32(now.Unix()), &refusal
	return r
}

// Denied returns when the backend last denied what a question is about, in whole seconds; false: it never did, as far as is
// remembered, or it vouched for it since.
func (p *Proofs) Denied(s Scope, q Question) (at time.Time, denied bool) {
	k := p.keyOf(s, q)
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.records[k]
	if r.denied == 0 || r.until > r.denied {
		return time.Time{}, false
	}
	return time.Unix(int64(r.denied), 0), true
}
