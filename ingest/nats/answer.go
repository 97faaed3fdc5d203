package nats

import (
	"math"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/reporterd/reporterd/ingest"
	"go.uber.org/zap"
)

// done tells the senders of messages that their events are durable.
func (b *Bus) done(taken []*message, duplicates int) {
	if taken[0].stream != nil {
		b.acknowledge(taken)
		return
	}
	for _, m := range taken {
		if m.reply != "" { // then it is alone: all duplicates are its own
			body := `{"accepted":` + strconv.Itoa(m.events-duplicates) + `,"duplicates":` + strconv.Itoa(duplicates) + `}`
			b.answer(&nats.Msg{Subject: m.reply, Data: []byte(body), Header: nats.Header{"Content-Type": {"application/json"}}})
		}
	}
}

// refuse ends a message that can never be taken and is not a stream's: who waits for an answer is told, else it is
// kept as a dead letter.
func (b *Bus) refuse(m *message, r *ingest.Refusal) {
	b.counters.refused(r.Status)
	switch {
	case m.reply != "":
		b.decline(m, r)
	case !b.graves.offer(grave{m, r}):
		b.counters.unkept.Add(1)
	}
}

// later tells the sender of a message to try again.
func (b *Bus) later(m *message, r *ingest.Refusal) {
	if m.stream != nil {
		b.postpone(m, r.RetryAfter)
		return
	}
	b.decline(m, r)
}

// decline answers a request as HTTP would, in the form of a micro service's error.
func (b *Bus) decline(m *message, r *ingest.Refusal) {
	h := nats.Header{
		"Content-Type":        {"application/problem+json"},
		micro.ErrorCodeHeader: {strconv.Itoa(r.Status)},
		micro.ErrorHeader:     {r.Detail},
	}
	if r.Later() {
		h.Set("Retry-After", seconds(r.RetryAfter))
	}
	b.answer(&nats.Msg{Subject: m.reply, Data: r.Problem, Header: h})
}

func (b *Bus) answer(m *nats.Msg) {
	if err := b.conn.PublishMsg(m); err != nil {
		b.log.Debug("a request got no answer", zap.Error(err)) // its sender waits no longer than it wants to
	}
}

// seconds are whole ones, at least one.
func seconds(d time.Duration) string { return strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))) }
