package main

import (
	"context"
	"net/http"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/spool"
)

// bookkeeping is the ledger at work.
type bookkeeping struct {
	ledger *ledger.Ledger // nil: none is kept
	spool  *spool.Spool
	part
}

// begin opens the ledger and lets it work. The daemon works without it where it cannot be opened.
func (b *bookkeeping) begin(log *zap.Logger, c *config.Config, s *spool.Spool, parents func(string) map[string]string) {
	if !c.Ledger.Enabled {
		return
	}
	l, err := ledger.Open(ledger.Options{Dir: c.DataDir, Keep: c.Ledger.Keep, MaxBytes: int64(c.Ledger.MaxBytes), Log: log, Parents: parents})
	if err != nil {
		log.Error("there is no ledger: it cannot be opened, and all else goes on without it", zap.Error(err))
		s.Booked(0)
		return
	}
	b.ledger, b.spool = l, s
	if err := l.Anchor(s); err != nil {
		log.Warn("the ledger cannot compare its place with the batch log yet: it is tried again", zap.Error(err))
	}
	b.part = launch(func(ctx context.Context) error {
		l.Run(ctx, s)
		return nil
	})
}

// stop books what there is to be booked, and closes the ledger.
func (b *bookkeeping) stop(ctx context.Context, log *zap.Logger) {
	if b.ledger == nil {
		return
	}
	err := b.part.stop(ctx)
	if err == nil {
		err = b.ledger.Close()
	}
	if err != nil {
		log.Warn("closing the ledger", zap.Error(err))
	}
}

func (b *bookkeeping) figures() *console.Ledger {
	if b.ledger == nil {
		return nil
	}
	s := b.ledger.Stats()
	out := &console.Ledger{Booked: s.Booked, Bytes: s.Bytes, Missed: s.Missed, Stopped: s.Trouble != "", GivenUp: s.GivenUp, SetAside: s.SetAside}
	if !s.Earliest.IsZero() {
		out.Earliest = s.Earliest.Unix()
	}
	if latest := b.spool.AccountsEnd(); latest > s.Next {
		out.Behind = latest - s.Next
	}
	return out
}

// routes are what of the admin listener is the ledger's.
func (b *bookkeeping) routes() []console.Route {
	answer := http.Handler(http.HandlerFunc(noLedger))
	if b.ledger != nil {
		answer = b.ledger
	}
	return []console.Route{{Pattern: "GET /api/v1/ledger", Scope: access.Read, Handler: answer}}
}

// noLedger answers where none is kept.
func noLedger(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusNotImplemented)
	_, _ = w.Write([]byte(`{"title":"Not Implemented","status":501,"detail":"there is no ledger here: ledger.enabled is false, it could not be opened, or spool.engine is jetstream"}` + "\n"))
}

// offers are the names of what the page can show of it.
func (b *bookkeeping) offers() []string {
	if b.ledger == nil {
		return nil
	}
	return []string{"ledger"}
}
