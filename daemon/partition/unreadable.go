package partition

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// unreadableEvery is how often it is asked whether the data directory can be read. Asking costs nothing while it can.
const unreadableEvery = time.Second

// unreadable logs when something in the data directory cannot be read, and when it can be again: once each, however many
// readers wait for that.
type unreadable struct {
	log *zap.Logger
	why func() error // nil: everything can be read, as far as is known
}

// watch ends with ctx.
func (u *unreadable) watch(ctx context.Context) error {
	tick := time.NewTicker(unreadableEvery)
	defer tick.Stop()
	var since time.Time // zero: everything can be read
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		switch err := u.why(); {
		case err != nil && since.IsZero():
			since = time.Now()
			u.log.Error("the data directory cannot be read: nothing in it is given up, and it is tried again until it can be", zap.Error(err))
		case err == nil && !since.IsZero():
			u.log.Info("the data directory can be read again", zap.Duration("after", time.Since(since).Round(time.Second)))
			since = time.Time{}
		}
	}
}
