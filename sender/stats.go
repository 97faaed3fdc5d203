package sender

import (
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/internal/histogram"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// Stats are figures since the start. Each is exact; together they are no snapshot.
type Stats struct {
	ReportCalls  uint64              // calls made, with every outcome
	Transactions uint64              // delivered
	Verdicts     map[string]uint64   // calls by verdict: "delivered", "split", "bisect", "hold", "retry", "ambiguous"
	Answers      map[Answered]uint64 // calls by verdict and status
	Seconds      histogram.Snapshot  // of a call, from its beginning to its answer or error
	InFlight     int                 // calls that are being made now
	Limit        int                 // how many may be; see limit
	Saturated    time.Duration       // for so long as many were in flight as may be
	BreakerOpen  bool                // the backend is away, and lanes in trouble share one call at a time
	Alone        uint64              // reports about one application that nothing vouched for
	Restamped    Restamped
	Dead         map[string]DeadLettered // what became dead letters, by the code of the reason; at most maxReasons, and "other"

	Receipts Receipted // of services with receipts

	Services map[string]Ended // events that came to their end, by configured service; of all other services: ""
	Latest   int64            // the latest timestamp of a delivered transaction, Unix seconds; 0: none was

	Clock        threescale.Skew // of the backend's clock against this one
	ClockWaiting int             // batches that wait because of it
}

// Restamped is what was delivered with the time of the attempt, since it was too old for its own.
type Restamped struct{ Transactions, Events uint64 }

// Answered names what came of calls.
type Answered struct {
	Verdict string
	Status  string // of those the backend and gateways are known for, the number; "2xx" to "5xx" and "other" for the rest; "none" without an answer
}

// DeadLettered is what became dead letters.
type DeadLettered struct{ Transactions, Events uint64 }

// Ended is how many events came to which end.
type Ended struct{ Delivered, Dead uint64 }

// maxReasons is how many reasons of dead letters are told apart. Codes are the backend's words.
const maxReasons = 32

// counts are the figures of Stats.
type counts struct {
	calls, delivered, alone, restamped, restampedEvents atomic.Uint64
	verdicts                                            [len(kinds)]atomic.Uint64
	seconds, confirmed                                  *histogram.Histogram

	mu      sync.Mutex // guards what follows
	answers map[Answered]uint64
	dead    map[string]DeadLettered
	ended   map[string]Ended
	latest  int64
}

func newCounts() *counts {
	return &counts{
		seconds:   histogram.New(0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30),
		confirmed: histogram.New(6.5, 7, 8, 10, 15, 30, 60, 120, 300, 600, 1200, 3600), answers: make(map[Answered]uint64), dead: make(map[string]DeadLettered), ended: make(map[string]Ended),
	}
}

// answered counts a call that began at sent and has just ended.
func (c *counts) answered(v Verdict, a *threescale.Answer, sent, now time.Time) {
	c.calls.Add(1)
	c.verdicts[v.Kind].Add(1)
	c.seconds.Observe(now.Sub(sent).Seconds())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[Answered{v.Kind.String(), status(a)}]++
}

// resolved counts what came to its end with a batch.
func (c *counts) resolved(b *spool.Batch, r spool.Resolution) {
	c.mu.Lock()
	defer c.mu.Unlock()
	service := b.Lane.ServiceID
	if !b.Lane.Credentials.IsZero() {
		service = "" // a reporter with credentials of its own may name any number of services
	}
	ended := c.ended[service]
	for _, i := range r.Delivered {
		t := &b.Transactions[i]
		ended.Delivered += uint64(t.Events)
		c.latest = max(c.latest, t.Timestamp)
	}
	for i := range r.Dead {
		events := uint64(b.Transactions[r.Dead[i].Index].Events)
		ended.Dead += events
		c.countDeadLocked(r.Dead[i].Reason.Code, events)
	}
	c.ended[service] = ended
}

// countDeadLocked counts a dead letter. mu is held.
func (c *counts) countDeadLocked(code string, events uint64) {
	if _, known := c.dead[code]; !known && len(c.dead) >= maxReasons {
		code = "other"
	}
	sum := c.dead[code]
	sum.Transactions++
	sum.Events += events
	c.dead[code] = sum
}

// known are the statuses that get a label of their own: the backend's, and what gateways are known for.
// Other codes share one, so that no backend can make labels without end.
var known = map[int]string{
	200: "200", 202: "202", 301: "301", 302: "302", 307: "307", 308: "308", 400: "400", 401: "401", 403: "403", 404: "404", 405: "405",
	408: "408", 409: "409", 411: "411", 413: "413", 415: "415", 422: "422", 429: "429", 500: "500", 502: "502", 503: "503", 504: "504",
}

func status(a *threescale.Answer) string {
	if a == nil {
		return "none"
	}
	if s := known[a.Status]; s != "" {
		return s
	}
	if class := a.Status / 100; class >= 2 && class <= 5 {
		return strconv.Itoa(class) + "xx"
	}
	return "other"
}

// full is for how long as many reports were in flight as may be. The Sender's mutex guards it.
type full struct {
	since time.Time // zero: there is room
	total time.Duration
}

// fillLocked notes that the number in flight or the room for them changed. The mutex is held.
func (s *Sender) fillLocked(now time.Time) {
	f := &s.full
	if !f.since.IsZero() {
		f.total += now.Sub(f.since)
		f.since = time.Time{}
	}
	if s.inFlight > 0 && s.inFlight >= s.limit.room() {
		f.since = now
	}
}

// Stats returns the figures.
func (s *Sender) Stats() Stats {
	c := s.counts
	st := Stats{
		ReportCalls: c.calls.Load(), Transactions: c.delivered.Load(),
		Verdicts: make(map[string]uint64, len(kinds)), Alone: c.alone.Load(), Seconds: c.seconds.Snapshot(),
		Restamped: Restamped{c.restamped.Load(), c.restampedEvents.Load()},
	}
	for k := Delivered; k <= Ambiguous; k++ {
		st.Verdicts[k.String()] = c.verdicts[k].Load()
	}
	c.mu.Lock()
	st.Answers, st.Dead, st.Services = maps.Clone(c.answers), maps.Clone(c.dead), maps.Clone(c.ended)
	st.Latest = c.latest
	c.mu.Unlock()
	st.Clock = s.client.Clock().Skew(time.Now())
	st.ClockWaiting, _ = s.waitForClock()
	st.Receipts = s.receipted()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fillLocked(time.Now())
	st.InFlight, st.Limit, st.Saturated, st.BreakerOpen = s.inFlight, s.limit.room(), s.full.total, s.breaker.open
	return st
}
