package proof

import (
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Assessment is what is known of one transaction.
type Assessment struct {
	State   State
	At      time.Time // Waiting: when there may be more to say
	Refusal Refusal   // Refused
	// Questions are what to ask for: of an Unknown, what is missing; of a Proven, what will soon be.
	Questions []Question
}

// Question is about an application, or about a metric by way of an application that is proven.
type Question struct {
	Application threescale.Application
	Metric      string // empty: the application itself
}

// Lookup gives assessments on the transactions of one batch. It is for one goroutine, and for one moment.
type Lookup struct {
	proofs  *Proofs
	scope   Scope
	sealed  int64
	now     int64
	company int                   // transactions that share the report
	metrics map[string]Assessment // a batch has few
	asked   map[string]bool       // metrics that are asked for by way of an application that is not proven yet
}

// Lookup begins to look at a batch of a service that was sealed at a moment: nothing in it can be newer
// than that.
func (p *Proofs) Lookup(s Scope, sealed, now time.Time) *Lookup {
	return &Lookup{proofs: p, scope: s, sealed: sealed.Unix(), now: now.Unix(), metrics: make(map[string]Assessment), asked: make(map[string]bool)}
}

// Among sets how many transactions share the report. The more do, the more one that was deleted costs, and the younger its
// proof is kept: it is renewed after a quarter to a third of its life in a report of 100, after a sixteenth to a sixth in one of 400.
func (q *Lookup) Among(transactions int) { q.company = transactions }

// renewal is how long before its end a proof is renewed, in seconds, of a life of so many, which is up to a tenth shorter.
func (q *Lookup) renewal(life int64) int64 {
	switch {
	case q.company >= 400:
		return life*9/10 - life/16
	case q.company >= 100:
		return life*9/10 - life/4
	}
	return life / 4
}

// Assess says what is known of a transaction. Metrics are judged only once the application is proven, since the backend looks
// at it first; what is unknown of them is asked for together with it.
func (q *Lookup) Assess(t *threescale.Transaction) Assessment {
	q.proofs.mu.Lock()
	defer q.proofs.mu.Unlock()
	o := q.subjectLocked(q.proofs.application(q.scope, t.Application), Question{Application: t.Application})
	if o.State == Unknown {
		o.Questions = q.withMetricsLocked(o.Questions, t)
	}
	if o.State != Proven && o.State != Unaskable {
		return o
	}
	vouched := o.State == Proven // by way of this application metrics can be asked for
	for i := range t.Usage {
		name := t.Usage[i].Metric
		m, known := q.metrics[name]
		if !known {
			m = q.subjectLocked(q.proofs.metric(q.scope, name), Question{Application: t.Application, Metric: name})
			if vouched || m.State != Unknown {
				once := m
				once.Questions = nil
				q.metrics[name] = once
			}
		}
		o = worse(o, m)
	}
	return o
}

// withMetricsLocked adds the questions about a transaction's metrics, one of each for all transactions. The proofs' mu is held.
func (q *Lookup) withMetricsLocked(questions []Question, t *threescale.Transaction) []Question {
	for i := range t.Usage {
		name := t.Usage[i].Metric
		if q.asked[name] {
			continue
		}
		q.asked[name] = true
		questions = append(questions, q.subjectLocked(q.proofs.metric(q.scope, name), Question{Application: t.Application, Metric: name}).Questions...)
	}
	return questions
}

// Metrics are the assessments on a transaction's metrics, one each, whose application is proven; otherwise
// there are none.
func (q *Lookup) Metrics(t *threescale.Transaction) []Assessment {
	q.proofs.mu.Lock()
	defer q.proofs.mu.Unlock()
	if q.subjectLocked(q.proofs.application(q.scope, t.Application), Question{}).State != Proven {
		return nil
	}
	all := make([]Assessment, len(t.Usage))
	for i := range t.Usage {
		all[i] = q.metrics[t.Usage[i].Metric]
	}
	return all
}

// worse joins what is known of two subjects.
func worse(a, b Assessment) Assessment {
	if a.State == Unaskable && b.State != Refused {
		return a
	}
	questions := append(a.Questions[:len(a.Questions):len(a.Questions)], b.Questions...)
	if b.State > a.State || b.State == a.State && b.At.After(a.At) {
		a = b
	}
	a.Questions = questions
	return a
}

// subjectLocked says what is known of one subject. The proofs' mu is held.
func (q *Lookup) subjectLocked(k key, ask Question) Assessment {
	r := q.proofs.knownLocked(k, q.now)
	denied, grace := int64(r.denied), q.proofs.grace
	switch {
	case int64(r.until) > q.now:
		return q.proven(r, ask)
	case int64(r.unaskable) > q.now:
		return Assessment{State: Unaskable}
	case r.refusal == nil || q.now-denied > int64(freshDenial/time.Second):
		return Assessment{State: Unknown, Questions: []Question{ask}}
	case denied >= q.sealed+grace:
		return Assessment{State: Refused, Refusal: *r.refusal}
	}
	// What listens may remember the absence from before the application was made, and what was accepted
	// after that would be condemned for it: only a denial that is younger than such a memory counts.
	again := max(q.sealed+grace, denied+min(grace, int64(leastApart/time.Second)))
	again = min(again, q.now+grace) // it may have been sealed when the clock was ahead
	if again <= q.now {
		return Assessment{State: Unknown, Questions: []Question{ask}}
	}
	return Assessment{State: Waiting, At: time.Unix(again, 0)}
}

// proven is the assessment on what was vouched for. The backend's worker has a memory of its own: what was
// denied, or named too early, may be unknown to it for a while yet.
func (q *Lookup) proven(r record, ask Question) Assessment {
	if settled := int64(max(r.denied, r.named)) + q.proofs.grace; settled > q.now {
		return Assessment{State: Waiting, At: time.Unix(settled, 0)}
	}
	o := Assessment{State: Proven}
	if int64(r.until)-q.now < q.renewal(int64(q.proofs.life/time.Second)) {
		o.Questions = []Question{ask}
	}
	return o
}
