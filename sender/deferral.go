package sender

import (
	"context"
	"time"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

const deferralMax = 10 * time.Minute // after which what is early is looked at again at the latest: clocks change

// deferUntilValid keeps back what is too far ahead, because the clock was when it was accepted: the backend drops a
// report whole for it. The rest does not wait. Those that are early wait together, until all of them can be
// sent, so that a batch is not split for each of them.
func (d *delivery) deferUntilValid(ctx context.Context) {
	if len(d.fresh)+len(d.stale) > 0 && d.batch.ID.Splits() < probationSplits {
		r := spool.Resolution{Children: [][]int{d.futureTimestamp}}
		if len(d.fresh) > 0 {
			r.Children = append(r.Children, d.fresh)
		}
		d.resolve(ctx, r)
		return
	}
	var last int64
	for _, i := range d.futureTimestamp {
		last = max(last, d.batch.Transactions[i].Timestamp)
	}
	due := time.Unix(last, 0).Add(d.options.FutureMargin - threescale.MaxFuture)
	if latest := d.began.Add(deferralMax); due.After(latest) {
		due = latest
	}
	w := d.probation()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.setAsideLocked(d.batch.ID, w, due, false)
}
