package authorize

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
)

// journalOutage logs when the journal begins to refuse the usage of authreps, and when it takes usage again.
type journalOutage struct {
	log *zap.Logger

	mu      sync.Mutex // guards what follows
	since   time.Time  // of the first refusal; zero: the journal takes usage
	refused int
}

func (t *journalOutage) began(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused++
	if !t.since.IsZero() {
		return
	}
	t.since = time.Now()
	t.log.Error("usage of authrep calls cannot be kept: they are answered as authorize.mode says", zap.Error(err))
}

func (t *journalOutage) ended() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		return
	}
	t.log.Info("usage of authrep calls is kept again", zap.Duration("after", time.Since(t.since)), zap.Int("calls", t.refused))
	t.since, t.refused = time.Time{}, 0
}
