package ingest

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/event"
	"go.uber.org/zap"
)

const (
	// calm is how long the journal must not have refused anything before that counts as the end of the
	// trouble: near its limit it takes small requests between large ones it refuses.
	calm = 10 * time.Second

	// unknownRetry is when to try again after a journal failed without saying so itself.
	unknownRetry = 5 * time.Second
)

// trouble says once when the journal begins to refuse, and once when that is over.
type trouble struct {
	log    *zap.Logger
	active atomic.Bool // whether since is set; so that a request in good times takes no lock

	mu      sync.Mutex // guards what follows
	since   time.Time  // of the first refusal
	latest  time.Time  // of the latest
	refused int        // requests since then
}

// refusal is what a client is told when the journal did not take its request.
type refusal struct {
	status     int // 429 when there is no room, 503 otherwise
	detail     string
	retryAfter time.Duration
}

// began notes that the journal failed with err and returns the answer for the client.
func (t *trouble) began(err error) refusal {
	answer := refusal{http.StatusServiceUnavailable, "events cannot be kept at the moment", unknownRetry}
	var refused *event.Refused
	if errors.As(err, &refused) {
		answer.retryAfter = refused.RetryAfter
		if refused.Full {
			answer.status, answer.detail = http.StatusTooManyRequests, "there is no room for more events at the moment"
		}
	}
	if errors.Is(err, context.Canceled) {
		return answer // the client left; that says nothing about the journal
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latest = time.Now()
	t.refused++
	if t.active.Swap(true) {
		return answer
	}
	t.since = t.latest
	t.log.Error("refusing events", zap.Error(err), zap.Duration("retry_after", answer.retryAfter))
	return answer
}

// ended notes that the journal took a request.
func (t *trouble) ended() {
	if !t.active.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.active.Load() || time.Since(t.latest) < calm {
		return
	}
	t.log.Info("taking events again", zap.Duration("after", time.Since(t.since)), zap.Int("refused_requests", t.refused))
	t.refused = 0
	t.active.Store(false)
}

// append makes events durable; an empty list is. A client that leaves does not end the wait: what is on
// its way to the disk cannot be called back, and the wait is bounded by the disk.
func (h *Handler) append(ctx context.Context, events []event.Event) (duplicates int, err error) {
	if len(events) == 0 {
		return 0, nil
	}
	if duplicates, err = h.journal.Append(context.WithoutCancel(ctx), events); err == nil {
		h.trouble.ended()
	}
	return duplicates, err
}
