package proof

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

const (
	mostAsked  = 8               // questions under way at a time
	scopeAsked = 4               // of those, for one service
	mostQueued = 50_000          // questions waiting, over all services
	mostInTurn = 8               // of few questions of one service, asked in a row: about what a first batch has
	patience   = 5 * time.Second // for one answer
)

// Prober asks the backend. Every question is asked once at a time, however many batches wait for it; services take
// turns, configured ones first; few questions of one are asked in one turn, so that the first of many new services does not wait
// for the first question of the last; and there are never more than so many a second.
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
	flying  int
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
	again   []*inquiry // about what was proven before; they come first, so that names nobody knows cannot crowd out those in use
	waiting []*inquiry
	flying  int
	inTurn  int // questions asked since its turn began
}

func (q *queue) empty() bool { return len(q.again)+len(q.waiting) == 0 }

// pop takes the next question. There is one.
func (q *queue) pop() (i *inquiry) {
	from := &q.waiting
	if len(q.again) > 0 {
		from = &q.again
	}
	i, *from = (*from)[0], (*from)[1:]
	return i
}

// inquiry is one question, and who waits for the answer.
type inquiry struct {
	about    subject
	question Question
	tickets  []*ticket
}

// ticket is a set of questions that somebody waits for.
type ticket struct {
	left int
	done func(*Failure) // nil: nobody waits
}

// NewProber returns a prober that asks nothing before Run. rate is how many questions a second it asks at
// most, after a first burst of as many.
func NewProber(c *threescale.Client, p *Proofs, rate int) *Prober {
	return &Prober{
		client: c, proofs: p, rate: float64(max(rate, 1)), wake: make(chan struct{}, 1), tokens: float64(max(rate, 1)),
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
	if len(questions) == 0 || len(p.pending)+len(questions) > mostQueued {
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
		q.inTurn = 0
		turns := p.turnsOf(q)
		*turns = append(*turns, q)
	}
	if p.proofs.wasProven(i.about.key) {
		q.again = append(q.again, i)
	} else {
		q.waiting = append(q.waiting, i)
	}
}

// Run asks until ctx ends, which also ends the questions under way: none of them counts anything.
func (p *Prober) Run(ctx context.Context) error {
	defer p.flights.Wait()
	for {
		q, i, wait := p.next(time.Now())
		if i != nil {
			p.flights.Go(func() { p.put(ctx, q, i) })
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

// next takes the next question, or says how long there is none.
func (p *Prober) next(now time.Time) (*queue, *inquiry, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.filled.IsZero() {
		p.filled = now
	}
	p.tokens = min(p.rate, p.tokens+now.Sub(p.filled).Seconds()*p.rate)
	p.filled = now
	if len(p.turns[Configured])+len(p.turns[PassedOn]) == 0 || p.flying >= mostAsked {
		return nil, nil, time.Hour
	}
	if p.tokens < 1 {
		return nil, nil, time.Duration((1-p.tokens)/p.rate*float64(time.Second)) + time.Microsecond
	}
	for _, turns := range p.turns {
		for n, q := range turns {
			if q.flying >= scopeAsked {
				continue
			}
			i := q.pop()
			p.turn(n, q)
			q.flying++
			p.flying++
			p.tokens--
			p.asked++
			return q, i, 0
		}
	}
	return nil, nil, time.Hour
}

// turn moves a queue, at n in turns, of which a question was taken: to the end when its turn is over, and out when it is empty.
// The mutex is held.
func (p *Prober) turn(n int, q *queue) {
	q.inTurn++
	left := len(q.again) + len(q.waiting)
	if left > 0 && q.inTurn+left <= mostInTurn {
		return
	}
	q.inTurn = 0
	turns := p.turnsOf(q)
	*turns = slices.Delete(*turns, n, n+1)
	if left > 0 {
		*turns = append(*turns, q)
	}
}

// turnsOf is the list of turns that a queue belongs to. The mutex is held.
func (p *Prober) turnsOf(q *queue) *[]*queue { return &p.turns[q.origin] }

// put asks one question and tells those who wait.
func (p *Prober) put(ctx context.Context, q *queue, i *inquiry) {
	limited, cancel := context.WithTimeout(ctx, patience)
	f := p.proofs.ask(limited, p.client, q.scope, i.question)
	cancel()
	for _, done := range p.settle(q, i, f) {
		done(f)
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// settle ends a question, and after a failure all others of its service that were not begun. It returns
// who is to be told.
func (p *Prober) settle(q *queue, i *inquiry, f *Failure) (tell []func(*Failure)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q.flying--
	p.flying--
	ended := []*inquiry{i}
	if f != nil {
		p.failed++
		ended = append(append(ended, q.again...), q.waiting...)
		q.again, q.waiting = nil, nil
		turns := p.turnsOf(q)
		*turns = slices.DeleteFunc(*turns, func(other *queue) bool { return other == q })
	}
	for _, i := range ended {
		delete(p.pending, i.about)
		for _, t := range i.tickets {
			t.left--
			if t.done != nil && (t.left == 0 || f != nil) {
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

// Stats are figures since the start.
type Stats struct {
	Asked, Failed uint64 // questions, and those without an answer
	Waiting       int    // questions queued or under way
	Known         int    // applications and metrics remembered
}

// Stats returns the figures.
func (p *Prober) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{Asked: p.asked, Failed: p.failed, Waiting: len(p.pending), Known: p.proofs.Len()}
}
