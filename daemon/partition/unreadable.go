package partition

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/internal/outage"
)

// unreadableEvery is how often unreadable checks whether the data directory can be read. Without a failed read, a check costs
// nothing.
const unreadableEvery = time.Second

// unreadable logs when something in the data directory cannot be read, and when it can be again: once each, independent of the
// number of readers that wait.
type unreadable struct {
	log *zap.Logger
	why func() error // nil: no read failure is known
}

// watch ends with ctx.
func (u *unreadable) watch(ctx context.Context) error {
	tick := time.NewTicker(unreadableEvery)
	defer tick.Stop()
	reading := outage.New(outage.Options{
		Log: u.log, BeginLevel: zap.ErrorLevel, Count: "checks",
		Begin: "cannot read the data directory, retrying: no data is lost by this",
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
