package test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// publisher is a producer that asks by NATS. All its events have ids, so that it may ask again whatever
// happened; its fields are its goroutine's own.
type publisher struct {
	*workload
	conn *nats.Conn
	rand *rand.Rand
	name string
}

// publish adds publishers to a workload; urls says where the n-th connects first.
func (w *workload) publish(t testing.TB, publishers int, seed uint64, urls func(n int) string) {
	t.Helper()
	for i := range publishers {
		conn, err := nats.Connect(urls(i), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.ReconnectBufSize(-1))
		require.NoError(t, err)
		w.done.Go(func() {
			defer conn.Close()
			p := &publisher{workload: w, conn: conn, rand: rand.New(rand.NewPCG(seed, 1<<16+uint64(i))), name: fmt.Sprintf("%x-n%d", seed, i)}
			for n := 0; t.Context().Err() == nil && !p.enough.Load(); n++ {
				p.deliver(t.Context(), newMessage(p.rand, fmt.Sprintf("%s-%d", p.name, n)))
			}
		})
	}
}

// newMessage draws the events of one message, which are all of one service.
func newMessage(r *rand.Rand, name string) *request {
	q := &request{path: "usage." + identified[0].service, ids: true, usage: tally{}, events: 1 + r.IntN(30)}
	events := make([]event, q.events)
	for i := range events {
		c := identified[r.IntN(3)]
		events[i] = randomEvent(r, c, fmt.Sprintf("%s-%d", name, i))
		for metric, value := range events[i].Usage {
			q.usage.count(c.service, c.shown, metric, value)
		}
	}
	q.body, _ = json.Marshal(events)
	return q
}

// deliver asks until the request is acknowledged.
func (p *publisher) deliver(ctx context.Context, q *request) {
	doubt := &producer{workload: p.workload, client: nil}
	for doubted := false; ctx.Err() == nil; pause(ctx, pollEvery) {
		got, err := p.ask(q)
		if err == nil && got.status == http.StatusAccepted {
			doubt.accept(&request{path: "/v1/events", events: q.events, usage: q.usage}, got, doubted)
			return
		}
		if err == nil {
			doubt.reject(got)
		}
		if !doubted {
			doubted = true
			p.ledger.doubt(q)
		}
	}
}

// ask sends a message and waits for its answer, as HTTP would give it.
func (p *publisher) ask(q *request) (answer, error) {
	m, err := p.conn.Request(q.path, q.body, 5*time.Second)
	if err != nil {
		return answer{}, err
	}
	got := answer{status: http.StatusAccepted, header: http.Header{}, body: string(m.Data)}
	if code := m.Header.Get("Nats-Service-Error-Code"); code != "" {
		if got.status, err = strconv.Atoi(code); err != nil {
			return answer{}, err
		}
		got.header.Set("Retry-After", m.Header.Get("Retry-After"))
	}
	return got, nil
}
