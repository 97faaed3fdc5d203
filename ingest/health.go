package ingest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/internal/outage"
)

const (
	// quietPeriod is how long the journal must not have refused anything before a success ends the outage: near
	// its size limit it takes small requests between large ones that it refuses.
	quietPeriod = 10 * time.Second

	// unknownRetry is the Retry-After of a journal error that names no time.
	unknownRetry = 5 * time.Second
)

// health logs once when the journal begins to refuse requests, and once when it takes them again.
type health struct{ outage *outage.Outage }

func newHealth(log *zap.Logger) health {
	return health{outage.New(outage.Options{
		Log: log, Begin: "refusing events", End: "taking events again", BeginLevel: zap.ErrorLevel, EndLevel: zap.InfoLevel,
		Calm: quietPeriod, Count: "refused_requests",
	})}
}

// refusal is what a client is told when the journal did not take its request.
type refusal struct {
	status     int // 429 when the spool is full, 503 otherwise
	detail     string
	retryAfter time.Duration
	partial    *event.Partial // nil: nothing was taken, or it is unknown
}

// failed notes that the journal failed with err and returns the answer for the client.
func (h health) failed(err error) refusal {
	answer := refusal{status: http.StatusServiceUnavailable, detail: "events cannot be kept at the moment", retryAfter: unknownRetry}
	var refused *event.Refused
	if errors.As(err, &answer.partial) {
		answer.detail = "a part of the events was kept, or may have been: send those again that are not in kept; those in unknown only if they have ids"
	} else if errors.As(err, &refused) {
		answer.retryAfter = refused.RetryAfter
		if refused.Full {
			answer.status, answer.detail = http.StatusTooManyRequests, "there is no room for more events at the moment"
			if refused.Limit != "" {
				answer.detail += ": " + refused.Limit + " is reached"
			}
		}
	}
	if !errors.Is(err, context.Canceled) { // a client that disconnects says nothing about the journal
		h.outage.Failed(err, zap.Duration("retry_after", answer.retryAfter))
	}
	return answer
}

// problem returns the answer as a problem. The indexes of a part are those of one request.
func (r refusal) problem() problem {
	p := problem{Status: r.status, Detail: r.detail}
	if r.partial != nil {
		p.Kept, p.Unknown = r.partial.Kept, r.partial.Unknown
	}
	return p
}

// append makes events durable; without events it does nothing. A client that disconnects does not end the wait: a write
// under way cannot be called back, and the wait is bounded by the disk.
func (h *Handler) append(ctx context.Context, events []event.Event) (duplicates int, err error) {
	if len(events) == 0 {
		return 0, nil
	}
	if duplicates, err = h.journal.Append(context.WithoutCancel(ctx), events); err == nil {
		h.health.outage.Worked()
	}
	return duplicates, err
}
