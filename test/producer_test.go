package test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// workload is a set of producers that go on through every death of a daemon and know what was
// acknowledged. Half of them give their events ids and repeat a request until it is acknowledged.
type workload struct {
	ledger  *ledger
	targets atomic.Pointer[[]string] // base URLs of traffic listeners; nil: nobody is there
	enough  atomic.Bool              // no further requests
	unsure  bool                     // a 503 may have been kept in part: replicas share what they keep
	rest    time.Duration            // of a producer behind each request; 0: none
	done    sync.WaitGroup
}

// produce starts producers that run until halt, or until ctx ends.
func produce(ctx context.Context, producers int, seed uint64) *workload {
	w := &workload{ledger: newLedger()}
	w.begin(ctx, producers, seed)
	return w
}

// begin starts producers.
func (w *workload) begin(ctx context.Context, producers int, seed uint64) {
	for i := range producers {
		w.done.Go(func() {
			p := &producer{workload: w, client: newClient(), rand: rand.New(rand.NewPCG(seed, uint64(i)))}
			p.client.Timeout = 5 * time.Second
			if i%2 == 0 {
				p.name = fmt.Sprintf("%x-%d", seed, i)
			}
			p.run(ctx)
		})
	}
}

// aim tells the producers where daemons listen. Each request goes to one of them; an empty address is none.
func (w *workload) aim(urls ...string) {
	urls = slices.DeleteFunc(slices.Clone(urls), func(url string) bool { return url == "" })
	if len(urls) == 0 {
		w.targets.Store(nil)
		return
	}
	w.targets.Store(&urls)
}

// halt returns once no request is on its way, and none with ids is in doubt. Somebody has to listen.
func (w *workload) halt() {
	w.enough.Store(true)
	w.done.Wait()
}

// producer is one of them; its fields are its goroutine's own.
type producer struct {
	*workload
	client *http.Client
	rand   *rand.Rand
	name   string // prefix of ids; empty: events without ids
	sent   int
}

// run sends one request after the other.
func (p *producer) run(ctx context.Context) {
	for ctx.Err() == nil && !p.enough.Load() {
		name := ""
		if p.name != "" {
			name = fmt.Sprintf("%s-%d", p.name, p.sent)
		}
		p.sent++
		p.deliver(ctx, newRequest(p.rand, name))
		if p.rest > 0 {
			pause(ctx, p.rest)
		}
	}
}

// deliver sends one request and books its fate. Where ids make that safe, it repeats what is in doubt.
func (p *producer) deliver(ctx context.Context, q *request) {
	doubted := false
	for poll(ctx, func() bool { return p.targets.Load() != nil }) {
		urls := p.targets.Load()
		if urls == nil {
			continue
		}
		url := (*urls)[p.rand.IntN(len(*urls))]
		got, err := call(p.client, http.MethodPost, url+q.path, q.contentType, q.body)
		switch {
		case err == nil && got.status == http.StatusAccepted:
			p.accept(q, got, doubted)
			return
		case err == nil:
			p.reject(got)
			if p.unsure && got.status == http.StatusServiceUnavailable && !doubted {
				doubted = true
				p.ledger.doubt(q)
			}
			if !q.ids {
				return
			}
		case neverSent(err):
			// Nobody listened: nothing was taken, and the same request may be sent again.
		case !q.ids:
			p.ledger.doubt(q)
			return
		case !doubted:
			doubted = true
			p.ledger.doubt(q)
		}
		pause(ctx, pollEvery)
	}
}

// accept books an acknowledgement, whose figures have to add up to the request.
func (p *producer) accept(q *request, got answer, doubted bool) {
	if doubted {
		p.ledger.settle(q)
	} else {
		p.ledger.keep(q)
	}
	if q.path != "/v1/events" {
		return
	}
	var accepted, duplicates int
	if _, err := fmt.Sscanf(got.body, `{"accepted":%d,"duplicates":%d}`, &accepted, &duplicates); err != nil {
		p.ledger.complain("answer of a 202: " + got.body)
	} else if accepted+duplicates != q.events || !doubted && duplicates > 0 {
		p.ledger.complain(fmt.Sprintf("%s for %d events, sent before: %v", got.body, q.events, doubted))
	}
}

// reject books a refusal. Only "no room" and "no way to keep it" may happen to a good request.
func (p *producer) reject(got answer) {
	p.ledger.refuse()
	switch got.status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if got.header.Get("Retry-After") == "" {
			p.ledger.complain(fmt.Sprintf("%d without Retry-After", got.status))
		}
	default:
		p.ledger.complain(fmt.Sprintf("%d %s", got.status, got.body))
	}
}

// neverSent reports whether a transport error came before any connection.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
