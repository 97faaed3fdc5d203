package main

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/spool"
)

// What passes between two tries to open the ledger. The pause doubles up to the second.
const (
	openAgain = time.Second
	openRarer = 30 * time.Second
)

// bookkeeping is the ledger at work.
type bookkeeping struct {
	enabled bool
	opened  atomic.Pointer[ledger.Ledger] // nil: none is kept, or it could not be opened yet
	spool   *spool.Spool
	part
}

// begin opens the ledger and lets it work. The daemon works without it while it cannot be opened: that is tried again until
// it succeeds, and the spool keeps what was not booked meanwhile, as far as spool.Options.Accounted says.
func (b *bookkeeping) begin(log *zap.Logger, c *config.Config, s *spool.Spool, parents func(string) map[string]string) {
	if !c.Ledger.Enabled {
		return
	}
	b.enabled, b.spool = true, s
	open := func() error {
		l, err := ledger.Open(ledger.Options{Dir: c.DataDir, Keep: c.Ledger.Keep, MaxBytes: int64(c.Ledger.MaxBytes), Log: log, Parents: parents})
		if err != nil {
			return err
		}
		if err := l.Anchor(s); err != nil {
			log.Warn("the ledger cannot compare its place with the batch log yet: it is tried again", zap.Error(err))
		}
		b.opened.Store(l)
		return nil
	}
	err := open()
	if err != nil {
		log.Error("cannot open ledger.db: usage reads are unavailable until that succeeds, and delivery goes on. It is tried again", zap.Error(err))
	}
	b.part = launch(func(ctx context.Context) error {
		if err != nil && !openLater(ctx, open) {
			return nil
		}
		if err != nil {
			log.Info("ledger.db is open: usage reads are available again. Reconciliation begins with the next start")
		}
		b.opened.Load().Run(ctx, s)
		return nil
	})
}

// openLater repeats open until it succeeds. It returns false when ctx ended before.
func openLater(ctx context.Context, open func() error) bool {
	for wait := openAgain; ; wait = min(2*wait, openRarer) {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
		if open() == nil {
			return true
		}
	}
}

// stop books what there is to be booked, and closes the ledger.
func (b *bookkeeping) stop(ctx context.Context, log *zap.Logger) {
	if !b.enabled {
		return
	}
	err := b.part.stop(ctx)
	if l := b.opened.Load(); err == nil && l != nil {
		err = l.Close()
	}
	if err != nil {
		log.Warn("closing the ledger", zap.Error(err))
	}
}

func (b *bookkeeping) figures() *console.Ledger {
	l := b.opened.Load()
	switch {
	case !b.enabled:
		return nil
	case l == nil: // not open yet
		return &console.Ledger{Stopped: true}
	}
	s := l.Stats()
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
	return []console.Route{{Pattern: "GET /api/v1/ledger", Scope: access.Read, Handler: http.HandlerFunc(b.serve)}}
}

// serve answers from the ledger, once it is open.
func (b *bookkeeping) serve(w http.ResponseWriter, r *http.Request) {
	if l := b.opened.Load(); l != nil {
		l.ServeHTTP(w, r)
		return
	}
	b.refuse(w, r)
}

// refuse answers where there is no ledger, or none yet.
func (b *bookkeeping) refuse(w http.ResponseWriter, r *http.Request) {
	if !b.enabled {
		noLedger(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "5")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`{"title":"Service Unavailable","status":503,"detail":"ledger.db cannot be opened at the moment, which is tried again: the log has the reason"}` + "\n"))
}

// noLedger answers where none is kept.
func noLedger(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusNotImplemented)
	_, _ = w.Write([]byte(`{"title":"Not Implemented","status":501,"detail":"there is no ledger here: ledger.enabled is false, or spool.engine is jetstream"}` + "\n"))
}

// offers are the names of what the page can show of it.
func (b *bookkeeping) offers() []string {
	if !b.enabled {
		return nil
	}
	return []string{"ledger"}
}
