package sender

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/sender/receipt"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// riding is what a report carries beside its usage.
type riding struct {
	keeper  *keeper
	receipt receipt.Receipt
	items   []receipt.Item // its transactions in order; Index is one of delivery.fresh
	again   bool           // it was sent before with the same receipt
}

// ride gives the report its receipt. It returns false when the batch is set aside until there is one, or was divided because
// no receipt can stand where it must. A lane without receipts: true, and nothing.
func (d *delivery) ride(ctx context.Context) bool {
	k := d.keeperOf(d.batch.Lane)
	if k == nil {
		return true
	}
	items := d.arrange(k)
	if items == nil {
		d.resolve(ctx, spool.Resolution{Children: d.parts(d.slicesFor(k))})
		return false
	}
	mask := receipt.Carries(len(d.fresh))
	w, ok := (*riding)(nil), false
	if d.endOutdated(ctx, k, mask) {
		w, ok = d.allot(k, mask)
	}
	if !ok {
		d.waitForReceipt(k)
		return false
	}
	if w != nil {
		w.items, d.riding = items, w
	}
	return true
}

// allot gives the report a receipt; nil, and true, while there are none to be had since an application is gone.
func (d *delivery) allot(k *keeper, mask receipt.Mask) (w *riding, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known := k.book.Has(d.batch.ID)
	switch {
	case k.gone && !known:
		return nil, true
	case time.Since(k.usable) > usableFor: // what was not read lately may be gone, and would void the report
		k.usable = time.Time{}
		return nil, false
	}
	info, _ := d.spool.Batch(d.batch.ID)
	r, ok := k.book.Allot(d.batch.ID, mask, d.began, landsUntil(&info))
	if !ok {
		return nil, false
	}
	if known {
		k.book.Again(d.batch.ID, d.began)
	}
	return &riding{keeper: k, receipt: r, again: known}, true
}

// endOutdated ends the receipt of a batch that is sent again and carries other receipts by now, since some of it has become too old. It
// returns false if that could not be recorded.
func (d *delivery) endOutdated(ctx context.Context, k *keeper, mask receipt.Mask) bool {
	k.mu.Lock()
	kept := k.book.Has(d.batch.ID) && k.book.MaskOf(d.batch.ID) != mask && k.book.Close(d.batch.ID, receipt.Dropped, d.began)
	k.mu.Unlock()
	return !kept || k.saveReceipts(ctx)
}

// arrange orders the transactions, receipts included; nil: the batch must be divided.
func (d *delivery) arrange(k *keeper) []receipt.Item {
	n := len(d.fresh)
	if receipt.Carries(n)&^k.all() != 0 {
		return nil
	}
	return receipt.Arrange(n, func(i int) threescale.Application { return d.batch.Transactions[d.fresh[i]].Application })
}

// slicesFor is into how many parts a batch is divided that cannot carry its receipts.
func (d *delivery) slicesFor(k *keeper) int {
	return max(2, (len(d.fresh)+receipt.OneSlice-1)/receipt.OneSlice)
}

// waitForReceipt sets the batch aside until the keeper has read the counters.
func (d *delivery) waitForReceipt(k *keeper) {
	k.poke()
	w := d.probation()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.setAsideLocked(d.batch.ID, w, d.began.Add(receiptGap), false)
}

// recordAttempt records durably that the report is about to be sent, with its receipt.
func (d *delivery) recordAttempt() error {
	if d.riding == nil {
		return d.spool.Attempt(d.batch.ID, d.began)
	}
	return d.spool.AttemptWithReceipt(d.batch.ID, d.began, d.riding.receipt.Append(nil))
}

// load fills in the report's transactions, with the receipts where they belong. A receipt has no timestamp: one could void
// the report.
func (w *riding) load(r *threescale.Report, fresh func(n int) threescale.Transaction) {
	r.Transactions = make([]threescale.Transaction, len(w.items))
	metric := w.keeper.config.Metrics[w.receipt.Metric]
	for n, item := range w.items {
		if item.Index >= 0 {
			r.Transactions[n] = fresh(item.Index)
			continue
		}
		r.Transactions[n] = threescale.Transaction{
			Application: w.keeper.config.Applications[item.Receipt], Usage: threescale.Usage{{Metric: metric, Value: w.receipt.Increment()}},
		}
	}
}

// sentWithReceipt keeps a batch pending whose report the backend took, until its receipt says what became of it.
func (d *delivery) sentWithReceipt(ctx context.Context) {
	d.persist(ctx, "sent", d.lane, func() error { return d.spool.Sent(d.batch.ID) })
	d.spool.SetAside(d.batch.ID)
	d.riding.keeper.poke()
}

// notCounted takes back the receipt of a report that the backend certainly did not take. One that was sent before may still land.
func (d *delivery) notCounted(ctx context.Context) {
	if d.riding == nil || d.riding.again {
		d.persist(ctx, "answered", d.lane, func() error { return d.spool.Answered(d.batch.ID) })
		return
	}
	d.persist(ctx, "answered", d.lane, func() error { return d.spool.WithdrawReceipt(d.batch.ID) })
	d.withdraw()
}

// withdraw takes the receipt back of a report that certainly is not taken. One that was sent before may still land.
func (d *delivery) withdraw() {
	if d.riding == nil || d.riding.again {
		return
	}
	k := d.riding.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	k.book.Withdraw(d.batch.ID)
}

// endReceipt ends the receipt of a batch that is about to be divided.
func (d *delivery) endReceipt(ctx context.Context) {
	d.withdraw()
	if d.riding == nil || !d.riding.again {
		return
	}
	k := d.riding.keeper
	k.mu.Lock()
	k.book.Close(d.batch.ID, receipt.Dropped, time.Now())
	k.mu.Unlock()
	k.saveReceipts(ctx)
}

// unknownWithReceipt keeps a batch until its receipt says whether its report was counted.
func (d *delivery) unknownWithReceipt() {
	if d.riding == nil {
		return
	}
	d.spool.SetAside(d.batch.ID)
	d.riding.keeper.poke()
}

// probe sends a report of nothing but a receipt, which shows whether the backend's worker runs.
func (k *keeper) probe(ctx context.Context, r receipt.Receipt) {
	c, ok := k.credentialsOf(k.key)
	if !ok {
		return
	}
	_, err := k.client.Report(context.WithoutCancel(ctx), &threescale.Report{
		ServiceID: k.service, Credentials: c,
		Transactions: []threescale.Transaction{{
			Application: k.config.Applications[receipt.Last], Usage: threescale.Usage{{Metric: k.config.Metrics[r.Metric], Value: r.Increment()}},
		}},
	})
	if err != nil {
		k.log.Debug("a report of a receipt alone failed", zap.String("service_id", k.service), zap.Error(err))
	}
}
