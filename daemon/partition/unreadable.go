package partition

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/internal/outage"
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
	reading := outage.New(outage.Options{
		Log: u.log, BeginLevel: zap.ErrorLevel, Count: "checks",
		Begin: "the data directory cannot be read: nothing in it is given up, and it is tried again until it can be",
		End:   "the data directory can be read again",
	})
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		reading.Report(u.why())
	}
}
