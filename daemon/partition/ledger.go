package partition

import (
	"context"
	"errors"
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

	// restoreLong is from when on it is logged how long it took to read a ledger's copy.
	restoreLong = 5 * time.Second
)

// Why a partition's ledger does not answer.
var (
	errNoLedger   = errors.New("its owner keeps no ledger: ledger.enabled is false there")
	errNotOpen    = errors.New("its ledger is not open yet")
	errCatchingUp = errors.New("its ledger is reading what the owner before had booked")
)

// bookkeeper contains the ledger and runs its booking. Nil: no ledger is kept.
type bookkeeper struct {
	log     *zap.Logger
	spool   *spool.Spool
	options ledger.Options
	opened  atomic.Pointer[ledger.Ledger] // nil: not open yet
	failed  bool                          // the first attempt to open it failed

	// wanted is the end of the batch log when the partition was opened. With a copy, the owner before may have booked up to it, so
	// figures are given once this ledger has.
	wanted uint64
	caught atomic.Bool
	broken atomic.Bool // the copy could not be restored, and that is retried
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
	if b.wanted = s.ChangesEnd(); b.options.Copy != nil {
		return b // run restores it: that may take long, and delivery does not wait for it
	}
	b.caught.Store(true)
	if err := b.open(context.Background()); err != nil {
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

func (b *bookkeeper) open(ctx context.Context) error {
	l, err := ledger.Restore(ctx, b.options)
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
	if b.options.Copy != nil {
		if !b.restore(ctx) {
			return nil
		}
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

// restore opens the ledger with its copy, and retries until it is open. It returns false if ctx ended first.
func (b *bookkeeper) restore(ctx context.Context) bool {
	retry := backoff.Backoff{Policy: backoff.Policy{Base: openRetry, Max: openRetryMax}}
	logged := false
	for begun := time.Now(); ; {
		err := b.open(ctx)
		switch {
		case err == nil:
			if took := time.Since(begun); logged || took > restoreLong {
				b.log.Info("the ledger of the partition is open", zap.Duration("after", took.Round(time.Millisecond)))
			}
			return true
		case ctx.Err() != nil:
			return false
		case !logged:
			logged = true
			b.broken.Store(true)
			b.log.Error("cannot read the copy of the ledger, or open it: usage reads are unavailable until that succeeds, delivery continues", zap.Error(err))
		}
		if !retry.Wait(ctx, 0) {
			return false
		}
	}
}

// openLater retries until the ledger is open. It returns false if ctx ended first.
func (b *bookkeeper) openLater(ctx context.Context) bool {
	retry := backoff.Backoff{Policy: backoff.Policy{Base: openRetry, Max: openRetryMax}}
	for retry.Wait(ctx, 0) {
		if b.open(ctx) == nil {
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
		return &console.Ledger{Stopped: b.options.Copy == nil || b.broken.Load()}
	}
	s := l.Stats()
	out := &console.Ledger{Booked: s.Booked, Bytes: s.Bytes, Missed: s.Missed, Stopped: s.Trouble != "", GivenUp: s.GivenUp, SetAside: s.SetAside}
	if !s.Earliest.IsZero() {
		out.Earliest = s.Earliest.Unix()
	}
	if latest := b.spool.ChangesEnd(); latest > s.Next {
		out.Behind = latest - s.Next
	}
	for m, n := range l.Delivered() {
		out.Usage = append(out.Usage, console.MetricUsage{ServiceID: m.ServiceID, Metric: m.Name, Units: n})
	}
	return out
}

// AnswerLedger answers a question of a ledger.Joint. An error says why there is no answer now.
func (p *Partition) AnswerLedger(question []byte) ([]byte, error) {
	b := p.ledger
	if b == nil {
		return nil, errNoLedger
	}
	l := b.opened.Load()
	if l == nil {
		return nil, errNotOpen
	}
	if !b.caught.Load() {
		if l.Stats().Next < b.wanted {
			return nil, errCatchingUp
		}
		b.caught.Store(true)
	}
	return l.Answer(question)
}

// KeepsLedger reports whether a ledger is kept, even if it is not open.
func (p *Partition) KeepsLedger() bool { return p.ledger != nil }

// Ledger returns the partition's ledger; nil: none is kept, or it is not open yet.
func (p *Partition) Ledger() ledger.Book {
	if l := p.openLedger(); l != nil {
		return l
	}
	return nil
}

// openLedger returns the partition's ledger; nil: none is kept, or it is not open yet.
func (p *Partition) openLedger() *ledger.Ledger {
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
