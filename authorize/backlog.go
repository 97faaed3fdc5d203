package authorize

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/threescale"
)

// Backlog is what was accepted and not delivered when it was opened. It is read while usage is accepted, sent and
// settled. Its functions are called by one goroutine.
type Backlog struct {
	Reports []PendingReport

	// Read returns the transactions of a report in their order. ErrNoReport says that there is no such report any
	// more, or that it can never be read; after any other error it is called again.
	Read func(batch string) (Lane, []threescale.Transaction, error)

	// Next returns usage that is in no report, which is valid until the next call, and io.EOF behind the last. After
	// any other error it is called again.
	Next func(ctx context.Context) (iter.Seq[Usage], error)

	Close func()
}

// PendingReport is a batch that waits to be delivered.
type PendingReport struct {
	Batch        string
	Transactions int
	Attempted    bool // the backend may have counted it
}

// ErrNoReport is what Backlog.Read returns for a report that has ended.
var ErrNoReport = errors.New("authorize: no such report")

// loading is the reading of the backlog (A5).
type loading struct {
	wanted chan struct{} // closed when there is a backlog to read
	done   chan struct{} // closed when all of it is counted
	loaded atomic.Bool   // done is closed

	// mu guards what follows. It is held while a report of the backlog is counted, so that the reading and an outcome
	// that comes in meanwhile count it once, and whole.
	mu      sync.Mutex
	reports map[string]PendingReport // not counted yet
	backlog Backlog
}

const (
	loadPatience = 10 * time.Second       // that an authorization waits for the backlog to be read
	loadRetry    = 100 * time.Millisecond // the first wait after an error of reading; doubled up to loadMax
	loadMax      = 10 * time.Second
	endedWait    = 10 * time.Second // for the outcome of a report that has ended
)

// Follow begins to count usage as it is accepted and settled, and opens the backlog, which Run or Load then reads. It
// waits for the usage that is being kept at this moment, and for nothing else. The first authorization calls it; call
// it earlier where authorizations were asked for in an earlier life. It does nothing the second time.
func (a *Authorizer) Follow() {
	l := &a.ledger
	if l.active.Load() {
		return
	}
	l.gate.Lock()
	defer l.gate.Unlock()
	if l.active.Load() {
		return
	}
	if a.options.Pending == nil {
		l.active.Store(true)
		l.loading.finish()
		return
	}
	b := a.options.Pending()
	l.loading.mu.Lock()
	l.loading.backlog, l.loading.reports = b, make(map[string]PendingReport, len(b.Reports))
	for _, r := range b.Reports {
		l.loading.reports[r.Batch] = r
	}
	l.loading.mu.Unlock()
	l.active.Store(true)
	close(l.loading.wanted)
}

// finish lets authorizations be decided.
func (l *loading) finish() {
	l.loaded.Store(true)
	close(l.done)
}

// Loaded reports whether all usage that is not delivered is counted.
func (a *Authorizer) Loaded() bool { return a.ledger.loading.loaded.Load() }

// Run reads the backlog once Follow was called, and returns nil when that is done, or ctx has ended. What cannot be
// read is tried again until it can: usage that is not counted would be granted twice. It is called once.
func (a *Authorizer) Run(ctx context.Context) error {
	l := &a.ledger.loading
	select {
	case <-l.wanted:
	case <-l.done:
		return nil
	case <-ctx.Done():
		return nil
	}
	l.mu.Lock()
	b := l.backlog
	l.mu.Unlock()
	defer b.Close()
	began := time.Now()
	if !a.loadUnsealed(ctx, b) || !a.loadReports(ctx, b) {
		return nil
	}
	l.finish()
	a.log.Info("usage that is not delivered yet counts against limits", zap.Duration("after", time.Since(began)), zap.Int("reports", len(b.Reports)))
	return nil
}

// loadUnsealed counts the usage that is in no report.
func (a *Authorizer) loadUnsealed(ctx context.Context, b Backlog) bool {
	for trouble := (retrying{a: a}); ; {
		usage, err := b.Next(ctx)
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			if !trouble.wait(ctx, err) {
				return false
			}
			continue
		}
		trouble.over()
		now := time.Now().Unix()
		for u := range usage {
			a.bookEarlier(u.Lane, u.Transaction, accept, now)
		}
	}
}

// loadReports counts the reports. One that has ended is counted by its outcome, which comes soon; where none comes,
// the report was given up, and what was in it was not delivered.
func (a *Authorizer) loadReports(ctx context.Context, b Backlog) bool {
	trouble := retrying{a: a}
	left := b.Reports
	for ended := time.Duration(0); len(left) > 0; {
		var again []PendingReport
		failed, progress := error(nil), false
		for _, r := range left {
			if ctx.Err() != nil {
				return false
			}
			switch err := a.loadReport(b, r); {
			case err == nil:
				progress = true
			case errors.Is(err, ErrNoReport):
				again = append(again, r)
			default:
				failed, again = err, append(again, r)
			}
		}
		left = again
		switch {
		case failed != nil && progress:
			trouble.reset()
			fallthrough
		case failed != nil:
			if !trouble.wait(ctx, failed) {
				return false
			}
		case len(left) > 0 && ended >= endedWait:
			return true
		case len(left) > 0:
			ended += loadRetry
			if !sleep(ctx, loadRetry) {
				return false
			}
		}
	}
	trouble.over()
	return true
}

// loadReport counts one report, unless its outcome has done so.
func (a *Authorizer) loadReport(b Backlog, r PendingReport) error {
	l := &a.ledger.loading
	l.mu.Lock()
	_, missing := l.reports[r.Batch]
	l.mu.Unlock()
	if !missing {
		return nil
	}
	lane, transactions, err := b.Read(r.Batch)
	if err != nil {
		return err
	}
	now := time.Now().Unix()
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, missing := l.reports[r.Batch]; missing {
		delete(l.reports, r.Batch)
		for i := range transactions {
			a.countEarlierLocked(r, i, lane, &transactions[i], now)
		}
	}
	return nil
}

// claim counts a report of the backlog that was not read before its outcome. The list is that of Settled: behind the
// report's own transactions are the parts of those that were divided. The gate is held.
func (a *Authorizer) claim(batch string, lane Lane, list iter.Seq2[*threescale.Transaction, Outcome], now int64) {
	l := &a.ledger.loading
	l.mu.Lock()
	defer l.mu.Unlock()
	r, missing := l.reports[batch]
	if !missing {
		return
	}
	delete(l.reports, batch)
	i := 0
	for t := range list {
		if i == r.Transactions {
			return
		}
		a.countEarlierLocked(r, i, lane, t, now)
		i++
	}
}

// countEarlierLocked counts one transaction of a report. loading.mu is held.
func (a *Authorizer) countEarlierLocked(r PendingReport, i int, lane Lane, t *threescale.Transaction, now int64) {
	a.bookEarlier(lane, t, accept, now)
	if r.Attempted && a.ledger.markUnresolved(r.Batch, i) {
		a.bookEarlier(lane, t, send, now)
	}
}

// bookEarlier applies a change to usage that was accepted before it was followed. Where totals are known from a
// snapshot, they hold it already.
func (a *Authorizer) bookEarlier(l Lane, t *threescale.Transaction, c change, now int64) {
	app := a.enter(l, t)
	if app == nil {
		return
	}
	defer app.mu.Unlock()
	cal := a.clock.at(now)
	var room [4]int64
	totals := room[:0]
	for i := range app.limits {
		limit := &app.limits[i]
		limit.total(app.usages, cal) // turns a period that is over
		totals = append(totals, limit.base+limit.accepted(app.usages, cal))
	}
	app.bookLocked(t.Usage, l.FlatUsage, timeOf(t, now), c, a.ledger.clock, now)
	for i := range app.limits {
		app.limits[i].base = totals[i] - app.limits[i].accepted(app.usages, cal)
	}
}

// await waits until the backlog is counted, and reports whether it is.
func (a *Authorizer) await(ctx context.Context) bool {
	l := &a.ledger.loading
	timer := time.NewTimer(loadPatience)
	defer timer.Stop()
	select {
	case <-l.done:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return l.loaded.Load()
}

// retrying is the reading of something that fails. Trouble is logged when it begins and when it ends.
type retrying struct {
	a        *Authorizer
	failures int
	begun    bool
}

func (r *retrying) wait(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if !r.begun {
		r.begun = true
		r.a.log.Error("cannot read the usage that is not delivered yet: it is tried again, and until then authorizations are answered as authorize.mode says",
			zap.Error(err))
	}
	r.failures++
	return sleep(ctx, min(loadRetry<<min(r.failures-1, 10), loadMax))
}

func (r *retrying) reset() { r.failures = 0 }

func (r *retrying) over() {
	if r.begun {
		r.a.log.Info("usage that is not delivered yet is read again", zap.Int("failures", r.failures))
	}
	*r = retrying{a: r.a}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
