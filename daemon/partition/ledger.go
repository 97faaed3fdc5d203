package partition

import (
	"context"
	"maps"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/internal/backoff"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/spool"
)

// What passes between two attempts to open the ledger. The pause doubles up to the second.
const (
	openRetry    = time.Second
	openRetryMax = 30 * time.Second
)

// bookkeeper is the ledger and what books into it. Nil: none is kept.
type bookkeeper struct {
	log     *zap.Logger
	spool   *spool.Spool
	options ledger.Options
	opened  atomic.Pointer[ledger.Ledger] // nil: it could not be opened yet
	failed  bool                          // the first attempt to open it did
}

// openLedger opens the ledger. The partition works without it while it cannot be opened: run tries that again until it
// succeeds, and the spool keeps what was not booked meanwhile, as far as spool.Options.Accounted says.
func openLedger(log *zap.Logger, o *ledger.Options, s *spool.Spool, parents func(string) map[string]string) *bookkeeper {
	if o == nil {
		return nil
	}
	b := &bookkeeper{log: log, spool: s, options: *o}
	b.options.Log, b.options.Parents = log, parents
	if err := b.open(); err != nil {
		b.failed = true
		log.Error("cannot open ledger.db: usage reads are unavailable until that succeeds, delivery continues", zap.Error(err))
	}
	return b
}

func (b *bookkeeper) open() error {
	l, err := ledger.Open(b.options)
	if err != nil {
		return err
	}
	if err := l.Anchor(b.spool); err != nil {
		b.log.Warn("the ledger cannot compare its place with the batch log yet: it is tried again", zap.Error(err))
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
		b.log.Info("ledger.db is open: usage reads are available again. Reconciliation begins with the next start")
	}
	b.opened.Load().Run(ctx, b.spool)
	return nil
}

// openLater tries again until the ledger is open. It returns false when ctx ended before.
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

// KeepsLedger reports whether a ledger is kept, also while it cannot be opened.
func (p *Partition) KeepsLedger() bool { return p.ledger != nil }

// Ledger is the partition's ledger; nil: none is kept, or it could not be opened yet.
func (p *Partition) Ledger() *ledger.Ledger {
	if p.ledger == nil {
		return nil
	}
	return p.ledger.opened.Load()
}

// Parents is the hierarchy of a service's metrics, each with the one it counts up: what the portal says, and where it says
// nothing what the backend told when applications were authorized.
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
