// Package batcher turns the journal of accepted events into sealed batches: it reads the journal, sums
// what may be summed (see window), and cuts: everything read so far is divided by the caps of a report
// and handed to the spool as batches, all or nothing.
//
// What it holds in memory is a cache of the journal. A crash loses nothing and a failed cut is simply
// made again; until a cut is committed its batches do not exist, and from then on the journal up to
// there does not. The batches are a function of the range of the journal that is cut and of the caps.
package batcher

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// Options say when the window is cut and what a batch may hold. A zero field has the documented default.
type Options struct {
	FlushInterval   time.Duration // the most an event waits in the window; 0: 5 s
	MaxTransactions int           // of a batch; 0, or more than that: threescale.MaxTransactions
	MaxParams       int           // of a batch's form body, credentials included; 0: threescale.MaxParams
	MaxBytes        int           // of a batch's form body; 0: threescale.MaxBody
	Aggregate       bool          // sum by application and UTC minute; false: a transaction per event
	MaxWindow       int           // transactions in the window that force a cut; 0: 200000

	// Witness, when not nil, names a metric of the service that counts its events: each adds one to it, in the transaction
	// that has its usage. Empty: none. Events that bring the metric themselves, or come with credentials of their own, add
	// nothing. Run calls it once a window and service.
	Witness func(serviceID string) string

	// Trouble, when not nil, is called by Run when reading or cutting fails for the first time and when
	// it works again.
	Trouble func(Trouble)
}

// Trouble is that the journal cannot be read or a cut cannot be made. Nothing is lost meanwhile, and it
// is tried again and again.
type Trouble struct {
	Err      error         // nil: it is over
	Lasted   time.Duration // when it is over: since the first failure
	Failures int           // when it is over: how many there were
}

// maxWindowBytes forces a cut, so that few transactions with very much usage cannot fill the memory.
const maxWindowBytes = 64 << 20

// How long to wait after a failure, doubled up to the maximum, and how long the last cut may take to
// read what is left when Run is ended.
const (
	retryBase = 100 * time.Millisecond
	retryMax  = 5 * time.Second
	lastRead  = 5 * time.Second
)

func (o Options) withDefaults() Options {
	if o.FlushInterval <= 0 {
		o.FlushInterval = 5 * time.Second
	}
	if o.MaxTransactions <= 0 || o.MaxTransactions > threescale.MaxTransactions {
		o.MaxTransactions = threescale.MaxTransactions
	}
	if o.MaxParams <= 0 {
		o.MaxParams = threescale.MaxParams
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = threescale.MaxBody
	}
	if o.MaxWindow <= 0 {
		o.MaxWindow = 200_000
	}
	return o
}

// Batcher reads the journal and cuts it into batches. Run is called once; the other methods may be
// called at any time.
type Batcher struct {
	spool   *spool.Spool
	tail    *spool.Tail
	options Options
	caps    caps
	sealing sealing

	// Of Run alone.
	window   *window
	read     spool.Position // the last in the window
	begun    time.Time      // when the first event entered the window
	accepted time.Time      // when that one was accepted
	failures int            // in a row
	failing  time.Time      // since when

	mu       sync.Mutex         // guards what follows
	asked    spool.Position     // a cut is wanted once this has been read
	sealed   spool.Position     // everything up to here is in batches
	wake     context.CancelFunc // ends the waiting of Run
	progress chan struct{}      // closed and replaced when sealed moves
	stats    WindowStats
}

// WindowStats is what is in the window now, and what was cut since the start.
type WindowStats struct {
	Transactions int    // in the window, summed
	Events       uint64 // in the window
	Lanes        int    // in the window
	Cuts         uint64
	Batches      uint64 // sealed
	LastCut      time.Duration
	Oldest       time.Time // when the first event in the window was accepted; zero: it is empty
}

// New returns a Batcher that does nothing before Run. It is the only reader of the spool's tail.
func New(s *spool.Spool, o Options) *Batcher {
	o = o.withDefaults()
	b := &Batcher{
		spool: s, tail: s.Tail(), options: o,
		caps:     caps{o.MaxTransactions, o.MaxParams, o.MaxBytes},
		sealing:  newSealing(),
		window:   newWindow(o.Aggregate),
		sealed:   s.Committed(),
		read:     s.Committed(),
		wake:     func() {},
		progress: make(chan struct{}),
	}
	b.window.witness = o.Witness
	return b
}

// Run reads and cuts until ctx ends. Then it makes a last cut of everything that was committed to the
// journal, and returns its error. No other error ends it: a cut that fails is made again, and the
// journal keeps what cannot be cut.
func (b *Batcher) Run(ctx context.Context) error {
	for {
		b.fill(ctx)
		if ctx.Err() != nil {
			return b.last(context.WithoutCancel(ctx))
		}
		b.attempt(ctx, b.cut)
	}
}

// Flush returns once everything that was committed to the journal before the call is sealed, with the
// position up to which that is. What the disk lost at the journal's end is not waited for. It returns the context's error
// when ctx ends first.
func (b *Batcher) Flush(ctx context.Context) (spool.Position, error) {
	want := b.spool.Readable()
	for {
		b.mu.Lock()
		sealed, progress := b.sealed, b.progress
		if sealed < want {
			b.asked = max(b.asked, want)
			b.wake()
		}
		b.mu.Unlock()
		if sealed >= want {
			return sealed, nil
		}
		select {
		case <-ctx.Done():
			return sealed, ctx.Err()
		case <-progress:
		}
	}
}

// Window returns the figures of the window.
func (b *Batcher) Window() WindowStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stats
}

// fill reads the journal into the window until a cut is due or ctx ends.
func (b *Batcher) fill(ctx context.Context) {
	for !b.due() && ctx.Err() == nil {
		wait, stop := b.waiting(ctx)
		g, err := b.tail.Next(wait)
		ended := wait.Err() != nil
		stop()
		switch {
		case err == nil:
			b.take(g)
			b.recovered()
		case !ended:
			b.fail(fmt.Errorf("batcher: read the journal: %w", err))
			b.pause(ctx)
		}
	}
}

// due reports whether the window has to be cut: for its age, its size, or because Flush asked.
func (b *Batcher) due() bool {
	if b.window.empty() {
		return false
	}
	if b.window.transactions >= b.options.MaxWindow || b.window.bytes >= maxWindowBytes {
		return true
	}
	return time.Since(b.begun) >= b.options.FlushInterval || b.flushable()
}

// flushable reports whether Flush waits for what is in the window.
func (b *Batcher) flushable() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked > b.sealed && b.read >= b.asked
}

// waiting returns a context that ends when the window comes of age or Flush has to be heard.
func (b *Batcher) waiting(ctx context.Context) (context.Context, context.CancelFunc) {
	var wait context.Context
	var stop context.CancelFunc
	if b.window.empty() {
		wait, stop = context.WithCancel(ctx)
	} else {
		wait, stop = context.WithDeadline(ctx, b.begun.Add(b.options.FlushInterval))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake = stop
	if b.asked > b.sealed && b.read >= b.asked {
		stop()
	}
	return wait, stop
}

// take adds a group of events to the window.
func (b *Batcher) take(g *spool.Group) {
	if b.window.empty() {
		b.begun, b.accepted = time.Now(), g.Accepted
	}
	for e := range g.Events {
		b.window.add(e)
	}
	b.read = g.Last
	b.publish()
}

func (b *Batcher) publish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Transactions = b.window.transactions
	b.stats.Events = b.window.events + b.window.nothing
	b.stats.Lanes = len(b.window.queues)
	if b.stats.Oldest = b.accepted; b.window.empty() {
		b.stats.Oldest = time.Time{}
	}
}
