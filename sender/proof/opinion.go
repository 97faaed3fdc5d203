package proof

import (
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Opinion is what is known of one transaction.
type Opinion struct {
	Standing Standing
	At       time.Time // Waiting: when there may be more to say
	Refusal  Refusal   // Refused
	// Questions are what to ask for: of an Unknown, what is missing; of a Proven, what will soon be.
	Questions []Question
}

// Question is about an application, or about a metric by way of an application that is proven.
type Question struct {
	Application threescale.Application
	Metric      string // empty: the application itself
}

// Inquest gives opinions on the transactions of one batch. It is for one goroutine, and for one moment.
type Inquest struct {
	proofs  *Proofs
	scope   Scope
	sealed  int64
	now     int64
	metrics map[string]Opinion // a batch has few
}

// Inquire begins to look at a batch of a service that was sealed at a moment: nothing in it can be newer
// than that.
func (p *Proofs) Inquire(s Scope, sealed, now time.Time) *Inquest {
	return &Inquest{proofs: p, scope: s, sealed: sealed.Unix(), now: now.Unix(), metrics: make(map[string]Opinion)}
}

// Opinion says what is known of a transaction. Metrics are judged, and asked for, only once the
// application is proven, since the backend looks at it first.
func (q *Inquest) Opinion(t *threescale.Transaction) Opinion {
	q.proofs.mu.Lock()
	defer q.proofs.mu.Unlock()
	o := q.subject(q.proofs.application(q.scope, t.Application), Question{Application: t.Application})
	if o.Standing != Proven && o.Standing != Unaskable {
		return o
	}
	vouched := o.Standing == Proven // by way of this application metrics can be asked for
	for i := range t.Usage {
		name := t.Usage[i].Metric
		m, known := q.metrics[name]
		if !known {
			m = q.subject(q.proofs.metric(q.scope, name), Question{Application: t.Application, Metric: name})
			if vouched || m.Standing != Unknown {
				once := m
				once.Questions = nil
				q.metrics[name] = once
			}
		}
		o = worse(o, m)
	}
	return o
}

// Metrics are the opinions on a transaction's metrics, one each, whose application is proven; otherwise
// there are none.
func (q *Inquest) Metrics(t *threescale.Transaction) []Opinion {
	q.proofs.mu.Lock()
	defer q.proofs.mu.Unlock()
	if q.subject(q.proofs.application(q.scope, t.Application), Question{}).Standing != Proven {
		return nil
	}
	all := make([]Opinion, len(t.Usage))
	for i := range t.Usage {
		all[i] = q.metrics[t.Usage[i].Metric]
	}
	return all
}

// worse joins what is known of two subjects.
func worse(a, b Opinion) Opinion {
	if a.Standing == Unaskable && b.Standing != Refused {
		return a
	}
	questions := append(a.Questions[:len(a.Questions):len(a.Questions)], b.Questions...)
	if b.Standing > a.Standing || b.Standing == a.Standing && b.At.After(a.At) {
		a = b
	}
	a.Questions = questions
	return a
}

// subject says what is known of one subject. The proofs' mu is held.
func (q *Inquest) subject(k key, ask Question) Opinion {
	r := q.proofs.known(k, q.now)
	denied, grace := int64(r.denied), q.proofs.grace
	switch {
	case int64(r.until) > q.now:
		return q.proven(r, ask)
	case int64(r.unaskable) > q.now:
		return Opinion{Standing: Unaskable}
	case r.refusal == nil || q.now-denied > int64(freshDenial/time.Second):
		return Opinion{Standing: Unknown, Questions: []Question{ask}}
	case denied >= q.sealed+grace:
		return Opinion{Standing: Refused, Refusal: *r.refusal}
	}
	// What listens may remember the absence from before the application was made, and what was accepted
	// after that would be condemned for it: only a denial that is younger than such a memory counts.
	again := max(q.sealed+grace, denied+min(grace, int64(leastApart/time.Second)))
	again = min(again, q.now+grace) // it may have been sealed when the clock was ahead
	if again <= q.now {
		return Opinion{Standing: Unknown, Questions: []Question{ask}}
	}
	return Opinion{Standing: Waiting, At: time.Unix(again, 0)}
}

// proven is the opinion on what was vouched for. The backend's worker has a memory of its own: what was
// denied, or named too early, may be unknown to it for a while yet.
func (q *Inquest) proven(r record, ask Question) Opinion {
	if settled := int64(max(r.denied, r.named)) + q.proofs.grace; settled > q.now {
		return Opinion{Standing: Waiting, At: time.Unix(settled, 0)}
	}
	o := Opinion{Standing: Proven}
	if int64(r.until)-q.now < int64(q.proofs.life/time.Second)/4 {
		o.Questions = []Question{ask}
	}
	return o
}
