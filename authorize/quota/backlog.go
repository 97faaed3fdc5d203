package quota

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

// Backlog is what was accepted and not delivered when it was opened. It is read while usage is accepted, sent and settled. Its
// functions are called by one goroutine.
type Backlog struct {
	Reports []PendingReport

	// Read returns the transactions of a report in their order. ErrNoReport says that there is no such report any more, or that
	// it can never be read; after any other error it is called again.
	Read func(batch string) (Lane, []threescale.Transaction, error)

	// Next returns usage that is in no report, which is valid until the next call, and io.EOF behind the last. After any other
	// error it is called again.
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
var ErrNoReport = errors.New("quota: no such report")

// loading is the reading of the backlog (A5).
type loading struct {
	wanted chan struct{} // closed when there is a backlog to read
	done   chan struct{} // closed when all of it is counted
	loaded atomic.Bool   // done is closed

	// mu guards what follows. It is held while a report of the backlog is counted, so that it is counted once, and whole: by the
	// reader, or by the outcome that comes in meanwhile.
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

// Follow begins to count usage as it is accepted and settled, and opens the backlog, which Run then reads. It waits for the
// usage that is being made durable at this moment, and for nothing else. The first authorization calls it; call it earlier
// where authorizations were asked for in an earlier life. It does nothing the second time.
func (t *Tracker) Follow() {
	if t.active.Load() {
		return
	}
	t.gate.Lock()
	defer t.gate.Unlock()
	if t.active.Load() {
		return
	}
	if t.pending == nil {
		t.active.Store(true)
		t.loading.finish()
		return
	}
	b := t.pending()
	l := &t.loading
	l.mu.Lock()
	l.backlog, l.reports = b, make(map[string]PendingReport, len(b.Reports))
	for _, r := range b.Reports {
		l.reports[r.Batch] = r
	}
	l.mu.Unlock()
	t.active.Store(true)
	close(l.wanted)
}

// finish lets authorizations be decided.
func (l *loading) finish() {
	l.loaded.Store(true)
	close(l.done)
}

// Loaded reports whether all usage that is not delivered is counted.
func (t *Tracker) Loaded() bool { return t.loading.loaded.Load() }

// Run reads the backlog once Follow was called, and returns nil when that is done, or ctx has ended. A failed read is repeated
// until it succeeds: usage that is not counted would be granted twice. It is called once.
func (t *Tracker) Run(ctx context.Context) error {
	l := &t.loading
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
	if !t.loadUnsealed(ctx, b) || !t.loadReports(ctx, b) {
		return nil
	}
	l.finish()
	t.log.Info("pending usage counts against limits", zap.Duration("after", time.Since(began)), zap.Int("reports", len(b.Reports)))
	return nil
}

// loadUnsealed counts the usage that is in no report.
func (t *Tracker) loadUnsealed(ctx context.Context, b Backlog) bool {
	for r := (retrying{log: t.log}); ; {
		usage, err := b.Next(ctx)
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			if !r.wait(ctx, err) {
				return false
			}
			continue
		}
		r.over()
		now := time.Now().Unix()
		for u := range usage {
			t.book(u.Lane, u.Transaction, accept, now)
		}
	}
}

// loadReports counts the reports. One that has ended is counted by its outcome, which comes soon; where none comes, the report
// was given up, and nothing of it was delivered.
func (t *Tracker) loadReports(ctx context.Context, b Backlog) bool {
	retry := retrying{log: t.log}
	left := b.Reports
	for ended := time.Duration(0); len(left) > 0; {
		var again []PendingReport
		failed, progress := error(nil), false
		for _, r := range left {
			if ctx.Err() != nil {
				return false
			}
			switch err := t.loadReport(b, r); {
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
			retry.reset()
			fallthrough
		case failed != nil:
			if !retry.wait(ctx, failed) {
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
	retry.over()
	return true
}

// loadReport counts one report, unless its outcome has done so.
func (t *Tracker) loadReport(b Backlog, r PendingReport) error {
	l := &t.loading
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
			t.countEarlierLocked(r, i, lane, &transactions[i], now)
		}
	}
	return nil
}

// claim counts a report of the backlog that was not read before its outcome came. The list is that of Settled: behind the
// report's own transactions are the parts of those that were divided. The gate is held.
func (t *Tracker) claim(batch string, lane Lane, list iter.Seq2[*threescale.Transaction, Outcome], now int64) {
	l := &t.loading
	l.mu.Lock()
	defer l.mu.Unlock()
	r, missing := l.reports[batch]
	if !missing {
		return
	}
	delete(l.reports, batch)
	i := 0
	for tx := range list {
		if i == r.Transactions {
			return
		}
		t.countEarlierLocked(r, i, lane, tx, now)
		i++
	}
}

// countEarlierLocked counts one transaction of a report. loading.mu is held.
func (t *Tracker) countEarlierLocked(r PendingReport, i int, lane Lane, tx *threescale.Transaction, now int64) {
	t.book(lane, tx, accept, now)
	if r.Attempted && t.markUnresolved(r.Batch, i) {
		t.book(lane, tx, send, now)
	}
}

// Wait returns once the backlog is counted, ctx ends, or 10 s have passed, and reports whether it is counted.
func (t *Tracker) Wait(ctx context.Context) bool {
	l := &t.loading
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

// retrying is the repetition of a read that fails. The failure is logged when it begins and when it ends.
type retrying struct {
	log      *zap.Logger
	failures int
	begun    bool
}

func (r *retrying) wait(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if !r.begun {
		r.begun = true
		r.log.Error("cannot read pending usage: the read is retried, and until it succeeds authorizations are answered as authorize.mode says",
			zap.Error(err))
	}
	r.failures++
	return sleep(ctx, min(loadRetry<<min(r.failures-1, 10), loadMax))
}

func (r *retrying) reset() { r.failures = 0 }

func (r *retrying) over() {
	if r.begun {
		r.log.Info("pending usage is read again", zap.Int("failures", r.failures))
	}
	*r = retrying{log: r.log}
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
