package partition

import (
	"context"
	"maps"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/internal/backoff"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/sender"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// The pause between two attempts to open the ledger, doubled up to the maximum.
const (
	openRetry    = time.Second
	openRetryMax = 30 * time.Second
)

// bookkeeper contains the ledger and runs its booking. Nil: no ledger is kept.
type bookkeeper struct {
	log     *zap.Logger
	spool   *spool.Spool
	options ledger.Options
	opened  atomic.Pointer[ledger.Ledger] // nil: not open yet
	failed  bool                          // the first attempt to open it failed
}

// openLedger opens the ledger. While it cannot be opened, the partition works without it: run retries, and the spool keeps what
// is not booked, within the limit of spool.Options.KeepChanges. q knows the applications of user keys. receipts is the sender that knows what receipts showed; nil: no service
// has any.
func openLedger(log *zap.Logger, o *ledger.Options, s *spool.Spool, q *quota.Tracker, parents func(string) map[string]string, receipts *sender.Sender) *bookkeeper {
	if o == nil {
		return nil
	}
	b := &bookkeeper{log: log, spool: s, options: *o}
	b.options.Log, b.options.Parents = log, parents
	b.options.Resolve = func(lane spool.LaneKey, a threescale.Application) string {
		return resolveUserKey(q, lane.ServiceID, lane.Credentials, a)
	}
	if receipts != nil {
		b.options.End = func(id spool.BatchID) ledger.End {
			e, _ := receipts.EndOf(id)
			return ledger.End{Kind: e.End, Slices: e.Slices}
		}
		b.options.Sent = b.eachSent
	}
	if err := b.open(); err != nil {
		b.failed = true
		log.Error("cannot open ledger.db: usage reads are unavailable until that succeeds, delivery continues", zap.Error(err))
	}
	return b
}

// eachSent calls each with every batch that 3scale accepted and whose receipts have not moved yet.
func (b *bookkeeper) eachSent(each func(*spool.Batch)) {
	for _, info := range b.spool.Batches() {
		if !info.Sent {
			continue
		}
		if batch, err := b.spool.Load(info.ID); err == nil { // otherwise it has ended meanwhile, or is retried with the next query
			each(batch)
		}
	}
}

// resolveUserKey returns the id of the application of a user key; empty: not known.
func resolveUserKey(q *quota.Tracker, serviceID string, c threescale.Credentials, a threescale.Application) string {
	return q.Resolve(quota.Name{Service: quota.ServiceName{ID: serviceID, Credentials: c}, Application: a}).Application.ID
}

// learn tells the ledger, if it is open, which application a user key belongs to.
func (b *bookkeeper) learn(serviceID, userKey, id string) {
	if b == nil {
		return
	}
	if l := b.opened.Load(); l != nil {
		l.Learn(serviceID, ledger.ApplicationName(threescale.Application{UserKey: userKey}), id)
	}
}

func (b *bookkeeper) open() error {
	l, err := ledger.Open(b.options)
	if err != nil {
		return err
	}
	if err := l.Anchor(b.spool); err != nil {
		b.log.Warn("the ledger cannot compare its place with the batch log, retrying", zap.Error(err))
	}
	b.opened.Store(l)
	return nil
}

// run books until ctx ends.
func (b *bookkeeper) run(ctx context.Context) error {
	if b == nil {
		return nil
	}
	if b.failed {
		if !b.openLater(ctx) {
			return nil
		}
		b.log.Info("ledger.db is open: usage reads are available. Reconciliation starts after the next restart")
	}
	b.opened.Load().Run(ctx, b.spool)
	return nil
}

// openLater retries until the ledger is open. It returns false if ctx ended first.
func (b *bookkeeper) openLater(ctx context.Context) bool {
	retry := backoff.Backoff{Policy: backoff.Policy{Base: openRetry, Max: openRetryMax}}
	for retry.Wait(ctx, 0) {
		if b.open() == nil {
			return true
		}
	}
	return false
}

func (b *bookkeeper) close() error {
	if b == nil || b.opened.Load() == nil {
		return nil
	}
	return b.opened.Load().Close()
}

func (b *bookkeeper) figures() *console.Ledger {
	if b == nil {
		return nil
	}
	l := b.opened.Load()
	if l == nil {
		return &console.Ledger{Stopped: true}
	}
	s := l.Stats()
	out := &console.Ledger{Booked: s.Booked, Bytes: s.Bytes, Missed: s.Missed, Stopped: s.Trouble != "", GivenUp: s.GivenUp, SetAside: s.SetAside}
	if !s.Earliest.IsZero() {
		out.Earliest = s.Earliest.Unix()
	}
	if latest := b.spool.ChangesEnd(); latest > s.Next {
		out.Behind = latest - s.Next
	}
	return out
}

// KeepsLedger reports whether a ledger is kept, even if it is not open.
func (p *Partition) KeepsLedger() bool { return p.ledger != nil }

// Ledger returns the partition's ledger; nil: none is kept, or it is not open yet.
func (p *Partition) Ledger() *ledger.Ledger {
	if p.ledger == nil {
		return nil
	}
	return p.ledger.opened.Load()
}

// Parents returns the parent of each metric of a service: from the portal, otherwise from the backend's answers to
// authorizations.
func (p *Partition) Parents(service string) map[string]string {
	all := maps.Clone(p.quota.Parents(service))
	if p.parents == nil {
		return all
	}
	known := p.parents(service)
	if all == nil {
		return known
	}
	maps.Copy(all, known)
	return all
}
