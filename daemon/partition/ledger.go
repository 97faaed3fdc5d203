package partition

import (
	"context"
	"maps"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/spool"
)

// bookkeeper is the ledger and what books into it. Nil: none is kept.
type bookkeeper struct {
	log    *zap.Logger
	ledger *ledger.Ledger
	spool  *spool.Spool
}

// openLedger opens the ledger. The partition works without one where it cannot be opened.
func openLedger(log *zap.Logger, o *ledger.Options, s *spool.Spool, parents func(string) map[string]string) *bookkeeper {
	if o == nil {
		return nil
	}
	options := *o
	options.Log, options.Parents = log, parents
	l, err := ledger.Open(options)
	if err != nil {
		log.Error("cannot open the ledger: usage reads are unavailable, delivery continues", zap.Error(err))
		s.Booked(0)
		return nil
	}
	s.Booked(l.Next())
	return &bookkeeper{log: log, ledger: l, spool: s}
}

// run books until ctx ends.
func (b *bookkeeper) run(ctx context.Context) error {
	if b != nil {
		b.ledger.Run(ctx, b.spool)
	}
	return nil
}

func (b *bookkeeper) close() error {
	if b == nil {
		return nil
	}
	return b.ledger.Close()
}

func (b *bookkeeper) figures() *console.Ledger {
	if b == nil {
		return nil
	}
	s := b.ledger.Stats()
	out := &console.Ledger{Booked: s.Booked, Bytes: s.Bytes, Missed: s.Missed, Stopped: s.Trouble != "", GivenUp: s.GivenUp}
	if !s.Earliest.IsZero() {
		out.Earliest = s.Earliest.Unix()
	}
	if latest := b.spool.AccountsEnd(); latest > s.Next {
		out.Behind = latest - s.Next
	}
	return out
}

// Ledger is the partition's ledger; nil: none is kept.
func (p *Partition) Ledger() *ledger.Ledger {
	if p.ledger == nil {
		return nil
	}
	return p.ledger.ledger
}

// Parents is the hierarchy of a service's metrics, each with the one it counts up: what the portal says, and where it says
// nothing what the backend told when applications were authorized.
func (p *Partition) Parents(service string) map[string]string {
	all := maps.Clone(p.authorizer.Parents(service))
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
