package proof

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

const (
	mostQueued  = 200_000         // questions waiting, over all services; some 300 bytes each
	patience    = 5 * time.Second // for one answer
	mostMetrics = 16              // asked about in one call
	mostRides   = 8               // calls that may say nothing about a metric, before it is asked about by itself
)

// Prober asks the backend. Every question is asked once at a time, however many batches wait for it; services take turns, configured
// ones first; the metrics of a service are asked about in the same call as the next of its applications; and how many calls are under way
// follows how quickly the backend answers (pace), with a bound of so many a second.
type Prober struct {
	client *threescale.Client
	proofs *Proofs
	rate   float64

	wake    chan struct{} // holds one
	flights sync.WaitGroup

	mu      sync.Mutex // guards what follows
	scopes  map[Scope]*queue
	turns   [2][]*queue // by origin, those with waiting questions, the next one first
	pending map[subject]*inquiry
	flying  int // calls
	pace    pace
	tokens  float64
	filled  time.Time
	asked   uint64
	failed  uint64
}

// subject is what a question is about. The same asked with other credentials is another question: these
// may be wrong.
type subject struct {
	scope Scope
	key   key
}

// Origin says whose questions they are.
type Origin uint8

// The origins, in the order in which they are asked.
const (
	Configured Origin = iota // of a service with configured credentials
	PassedOn                 // of a service with credentials that a reporter sent
)

// queue holds one service's questions.
type queue struct {
	scope   Scope
	origin  Origin
	again   []*inquiry // about applications that were proven before; they come first, so that unknown names cannot crowd out those in use
	waiting []*inquiry // about other applications
	metrics []*inquiry // the next call asks about them, too
	flying  int        // calls
}

func (q *queue) empty() bool { return len(q.again)+len(q.waiting)+len(q.metrics) == 0 }

// pop takes the questions of the next call, an application first. There is one.
func (q *queue) pop() (asked []*inquiry) {
	together := true
	if len(q.metrics) > 0 && (q.metrics[0].rides >= mostRides || len(q.again)+len(q.waiting) == 0) {
		asked, together = q.metrics[:1:1], q.metrics[0].rides < mostRides
		q.metrics = q.metrics[1:]
	} else {
		from := &q.waiting
		if len(q.again) > 0 {
			from = &q.again
		}
		asked, *from = (*from)[:1:1], (*from)[1:]
		together = asked[0].rides < mostRides
	}
	for together && len(q.metrics) > 0 && len(asked) < mostMetrics && q.metrics[0].rides < mostRides {
		asked, q.metrics = append(asked, q.metrics[0]), q.metrics[1:]
	}
	return asked
}

// enqueue puts a question in. One that was asked in vain comes before the rest of its kind.
func (q *queue) enqueue(i *inquiry, proven bool) {
	switch {
	case i.question.Metric != "" && i.rides > 0:
		q.metrics = append([]*inquiry{i}, q.metrics...)
	case i.question.Metric != "":
		q.metrics = append(q.metrics, i)
	case proven || i.rides > 0:
		q.again = append(q.again, i)
	default:
		q.waiting = append(q.waiting, i)
	}
}

// inquiry is one question, and who waits for the answer.
type inquiry struct {
	about    subject
	question Question
	rides    int // calls that said nothing about it; from mostRides on it gets one of its own
	flying   bool
	tickets  []*ticket
}

// ticket is a set of questions that a caller waits for.
type ticket struct {
	left int
	done func(*Failure) // nil: no caller waits
}

// NewProber returns a prober that asks nothing before Run. rate is how many questions a second it asks at
// most, after a first burst of as many.
func NewProber(c *threescale.Client, p *Proofs, rate int) *Prober {
	return &Prober{
		client: c, proofs: p, rate: float64(max(rate, 1)), wake: make(chan struct{}, 1), tokens: float64(max(rate, 1)),
		pace:   pace{room: firstAsked},
		scopes: make(map[Scope]*queue), pending: make(map[subject]*inquiry),
	}
}

// Ask queues questions of one service and calls done once, from another goroutine: with nil when all are
// answered, or with the failure of one of them, or of another question of that service, upon which none
// of those queued are asked. done may be nil. It reports whether there was room; if not, done is not
// called.
func (p *Prober) Ask(s Scope, o Origin, questions []Question, done func(*Failure)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	most := mostQueued
	if o == PassedOn {
		most /= 2 // the rest is left for configured services
	}
	if len(questions) == 0 || len(p.pending)+len(questions) > most {
		return false
	}
	t := &ticket{done: done}
	for _, q := range questions {
		about := subject{s, p.proofs.keyOf(s, q)}
		i := p.pending[about]
		if i == nil {
			i = &inquiry{about: about, question: q}
			p.pending[about] = i
			p.enqueue(s, o, i)
		} else if q.Metric != "" && !i.flying && p.proofs.wasProven(p.proofs.keyOf(s, Question{Application: q.Application})) {
			i.question = q // by way of an application that exists
		}
		i.tickets = append(i.tickets, t)
		t.left++
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return true
}

// HasRoom reports whether fewer questions wait than are asked in two seconds.
func (p *Prober) HasRoom() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(len(p.pending)) < 2*p.rate
}

func (p *Prober) enqueue(s Scope, o Origin, i *inquiry) {
	q := p.scopes[s]
	if q == nil {
		q = &queue{scope: s, origin: o}
		p.scopes[s] = q
	}
	if q.empty() {
		p.appendTurn(q)
	}
	q.enqueue(i, p.proofs.wasProven(i.about.key))
}

// Run asks until ctx ends, which also ends the questions under way: none of them counts anything.
func (p *Prober) Run(ctx context.Context) error {
	defer p.flights.Wait()
	for {
		q, asked, wait := p.next(time.Now())
		if q != nil {
			p.flights.Go(func() { p.put(ctx, q, asked) })
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-p.wake:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// next takes the questions of the next call, or says how long there is none.
func (p *Prober) next(now time.Time) (*queue, []*inquiry, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.filled.IsZero() {
		p.filled = now
	}
	p.tokens = min(p.rate, p.tokens+now.Sub(p.filled).Seconds()*p.rate)
	p.filled = now
	if len(p.turns[Configured])+len(p.turns[PassedOn]) == 0 || p.flying >= p.pace.most() {
		return nil, nil, time.Hour
	}
	if p.tokens < 1 {
		return nil, nil, time.Duration((1-p.tokens)/p.rate*float64(time.Second)) + time.Microsecond
	}
	for origin := range p.turns {
		for n, q := range p.turns[origin] {
			if q.flying < p.pace.share() {
				return q, p.takeTurn(n, q), 0
			}
		}
	}
	return nil, nil, time.Hour
}

// appendTurn gives a queue the last turn. The mutex is held.
func (p *Prober) appendTurn(q *queue) { p.turns[q.origin] = append(p.turns[q.origin], q) }

// takeTurn takes the questions of the next call of a queue, which is at n in its turns. The mutex is held.
func (p *Prober) takeTurn(n int, q *queue) (asked []*inquiry) {
	asked = q.pop()
	for _, i := range asked {
		i.flying = true
	}
	if turns := &p.turns[q.origin]; n == 0 {
		*turns = (*turns)[1:] // as a rule: nothing is moved
	} else {
		*turns = slices.Delete(*turns, n, n+1)
	}
	if !q.empty() {
		p.appendTurn(q)
	}
	q.flying++
	p.flying++
	p.tokens--
	p.asked++
	return asked
}

// put makes one call and tells those who wait.
func (p *Prober) put(ctx context.Context, q *queue, asked []*inquiry) {
	limited, cancel := context.WithTimeout(ctx, patience)
	began := time.Now()
	f := p.proofs.ask(limited, p.client, q.scope, callOf(asked))
	cancel()
	for _, done := range p.settle(q, asked, f, began) {
		done(f.failure)
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// callOf is the call that asks several questions.
func callOf(asked []*inquiry) call {
	first := asked[0].question
	c := call{application: first.Application, both: first.Metric == ""}
	for _, i := range asked {
		if i.question.Metric != "" {
			c.metrics = append(c.metrics, i.question.Metric)
		}
	}
	return c
}

// settle ends the questions of a call, and after a failure all other questions of its service that were not begun. What the answer said
// nothing about is asked again. It returns who is to be told.
func (p *Prober) settle(q *queue, asked []*inquiry, f finding, began time.Time) (tell []func(*Failure)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	full := p.flying >= p.pace.most() || q.flying >= p.pace.share()
	q.flying--
	p.flying--
	if f.failure == nil {
		p.pace.answered(began, time.Now(), full)
		asked = p.againLocked(q, asked, f)
	} else {
		p.failed++
		p.pace.failed(f.failure, began, time.Now())
		if !q.empty() {
			p.turns[q.origin] = slices.DeleteFunc(p.turns[q.origin], func(other *queue) bool { return other == q })
		}
		asked = slices.Concat(asked, q.again, q.waiting, q.metrics)
		q.again, q.waiting, q.metrics = nil, nil, nil
	}
	for _, i := range asked {
		delete(p.pending, i.about)
		for _, t := range i.tickets {
			t.left--
			if t.done != nil && (t.left == 0 || f.failure != nil) {
				tell = append(tell, t.done)
				t.done = nil
			}
		}
	}
	if q.flying == 0 && q.empty() {
		delete(p.scopes, q.scope)
	}
	return tell
}

// againLocked puts back what an answer said nothing about, and returns the questions that are answered. A metric by way of an
// application of its own is answered if that does not exist: another batch asks by way of another one. The mutex is held.
func (p *Prober) againLocked(q *queue, asked []*inquiry, f finding) (answered []*inquiry) {
	idle := q.empty()
	for n, i := range asked {
		i.flying = false
		if len(asked) == 1 || n == 0 && f.gone || !f.unclear && !slices.Contains(f.left, i.question.Metric) {
			answered = append(answered, i)
			continue
		}
		if i.rides++; f.unclear {
			i.rides = mostRides
		}
		q.enqueue(i, false)
	}
	if idle && !q.empty() {
		p.appendTurn(q)
	}
	return answered
}

// Stats are figures since the start.
type Stats struct {
	Asked, Failed uint64 // questions, and those without an answer
	Waiting       int    // questions queued or under way
	Room          int    // calls that may be under way
	Known         int    // applications and metrics remembered
}

// Stats returns the figures.
func (p *Prober) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{Asked: p.asked, Failed: p.failed, Waiting: len(p.pending), Room: p.pace.most(), Known: p.proofs.Len()}
}
