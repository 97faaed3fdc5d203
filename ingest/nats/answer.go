package nats

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/reporterd/reporterd/ingest"
	"go.uber.org/zap"
)

// confirm tells the senders of messages, or the stream, that their events are durable.
func (b *Bridge) confirm(taken []*message, duplicates int) {
	if taken[0].stream != nil {
		b.acknowledge(taken)
		return
	}
	for _, m := range taken {
		if m.reply != "" { // a request is appended alone, so all duplicates are its own
			body := `{"accepted":` + strconv.Itoa(m.events-duplicates) + `,"duplicates":` + strconv.Itoa(duplicates) + `}`
			m.endpoint.answered(m.arrived)
			b.reply(&nats.Msg{Subject: m.reply, Data: []byte(body), Header: nats.Header{"Content-Type": {"application/json"}}})
		}
	}
}

// refuse ends a message of a plain subscription that can never be taken: a request gets an error, a plain publish becomes a
// dead letter.
func (b *Bridge) refuse(m *message, r *ingest.Refusal) {
	b.counters.refused(r.Status)
	switch {
	case m.reply != "":
		b.replyError(m, r)
	case r.Later(), r.Status == http.StatusUnauthorized: // no dead letter: its sender may not fill the disk
		b.counters.dropped.Add(1)
		b.logLimited("plain publishes are dropped", errors.New(r.Detail))
	case !b.rejected.offer(rejectedPublish{m, r}):
		b.counters.unkept.Add(1)
	}
}

// askToRetry tells the sender of a request, or the stream, to send a message again later.
func (b *Bridge) askToRetry(m *message, r *ingest.Refusal) {
	if m.stream != nil {
		b.postpone(m, r.RetryAfter)
		return
	}
	b.replyError(m, r)
}

// replyError answers a request with the problem that HTTP would answer, as an error of a micro service.
func (b *Bridge) replyError(m *message, r *ingest.Refusal) {
	h := nats.Header{
		"Content-Type":        {"application/problem+json"},
		micro.ErrorCodeHeader: {strconv.Itoa(r.Status)},
		micro.ErrorHeader:     {r.Detail},
	}
	if r.Later() {
		h.Set("Retry-After", seconds(r.RetryAfter))
	}
	m.endpoint.failed(r.Status, r.Detail)
	m.endpoint.answered(m.arrived)
	b.reply(&nats.Msg{Subject: m.reply, Data: r.Problem, Header: h})
}

func (b *Bridge) reply(m *nats.Msg) {
	if err := b.conn.PublishMsg(m); err != nil {
		b.log.Debug("a request got no answer", zap.Error(err)) // its sender times out
	}
}

// seconds rounds d up to whole seconds, at least one.
func seconds(d time.Duration) string { return strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))) }
