// Package batcher turns the journal of accepted events into sealed batches. It reads the journal, sums events (see window), and
// cuts: everything read so far is split by the caps of a report into batches, which the spool seals all or nothing.
//
// The window in memory is a cache of the journal. A crash loses nothing, and a failed cut is repeated. Until a cut is committed
// its batches do not exist; after that the journal up to there is removed. The batches are a function of the range of the journal
// that is cut and of the caps.
package batcher

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// Options say when the window is cut and how large a batch may be. A zero field has the documented default.
type Options struct {
	Spool *spool.Spool // whose journal is read, and into which batches are sealed

	FlushInterval   time.Duration // how long an event waits in the window, with few lanes; 0: 5 s
	MaxInterval     time.Duration // how long it waits at most, with many; below FlushInterval: FlushInterval. See interval
	MaxTransactions int           // of a batch; 0, or more than that: threescale.MaxTransactions
	MaxParams       int           // of a batch's form body, credentials included; 0: threescale.MaxParams
	MaxBytes        int           // of a batch's form body; 0: threescale.MaxBody
	Aggregate       bool          // sum by application and UTC minute; false: a transaction per event
	MaxWindow       int           // number of transactions in the window that forces a cut; 0: 200000
	MaxWindowBytes  int           // approximate memory of the window that forces a cut; 0: 64 MiB

	// Witness, if not nil, returns the name of a metric of the service that counts its events: each event adds 1 to it, in the
	// transaction with its usage. Empty: none. Events that contain the metric themselves, or have their own credentials, add
	// nothing. Run calls it once for each window and service.
	Witness func(serviceID string) string

	// Waiting, if not nil, returns how many batches of configured services wait for delivery: it is called often and must not block.
	// If it is nil, all batches count.
	Waiting func() int

	// Trouble, if not nil, is called by Run when reading or cutting fails for the first time and when it works again.
	Trouble func(Trouble)
}

// Trouble says that the journal cannot be read or a cut fails. Nothing is lost in the meantime, and Run retries.
type Trouble struct {
	Err      error         // nil: it has ended
	Lasted   time.Duration // when it has ended: since the first failure
	Failures int           // when it has ended: the number of failures
}

// DefaultWindowBytes is the default of Options.MaxWindowBytes: few transactions with large usage cannot fill the memory.
const DefaultWindowBytes = 64 << 20

// The pause after a failure, doubled up to the maximum, and how long the last cut may take to read the rest of the journal when
// Run ends.
const (
	retryBase = 100 * time.Millisecond
	retryMax  = 5 * time.Second
	lastRead  = 5 * time.Second
)

func (o Options) withDefaults() Options {
	if o.FlushInterval <= 0 {
		o.FlushInterval = 5 * time.Second
	}
	o.MaxInterval = max(o.MaxInterval, o.FlushInterval)
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
	if o.MaxWindowBytes <= 0 {
		o.MaxWindowBytes = DefaultWindowBytes
	}
	return o
}

// Batcher reads the journal and cuts it into batches. Run is called once; the other methods may be called concurrently.
type Batcher struct {
	spool   *spool.Spool
	tail    *spool.Tail
	options Options
	caps    caps
	sealing sealing

	// Used by Run only.
	window   *window
	read     spool.Position // the last in the window
	begun    time.Time      // when the first event entered the window
	accepted time.Time      // when that one was accepted
	failures int            // in a row
	failing  time.Time      // since when

	mu       sync.Mutex         // guards the fields below
	asked    spool.Position     // Flush wants a cut once this was read
	sealed   spool.Position     // everything up to here is in batches
	wake     context.CancelFunc // wakes Run
	progress chan struct{}      // closed and replaced when sealed changes
	stats    WindowStats
}

// WindowStats describes the window now, and the cuts since the start.
type WindowStats struct {
	Transactions int    // in the window, summed
	Events       uint64 // in the window
	Lanes        int    // in the window
	Cuts         uint64
	Batches      uint64 // sealed
	LastCut      time.Duration
	Oldest       time.Time // when the first event in the window was accepted; zero: it is empty
}

// New returns a Batcher; Run starts it. It is the only reader of the spool's tail.
func New(o Options) *Batcher {
	o = o.withDefaults()
	s := o.Spool
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

// Run reads and cuts until ctx ends. Then it makes a last cut of everything that was committed to the journal, and returns its
// error. Other errors do not end it: it repeats a failed cut, and the journal keeps the events until then.
func (b *Batcher) Run(ctx context.Context) error {
	for {
		b.fill(ctx)
		if ctx.Err() != nil {
			return b.last(context.WithoutCancel(ctx))
		}
		b.attempt(ctx, b.cut)
	}
}

// Flush returns once everything that was committed to the journal before the call is sealed, with the position of the last sealed
// event. It does not wait for events at the journal's end that are lost. It returns ctx's error when ctx ends first.
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
	w := wait{stop: func() {}}
	defer func() { w.stop() }()
	for !b.due() && ctx.Err() == nil {
		b.renew(ctx, &w)
		g, err := b.tail.Next(w.ctx)
		switch {
		case err == nil:
			b.take(g)
			b.recovered()
		case w.ctx.Err() == nil:
			b.fail(fmt.Errorf("batcher: read the journal: %w", err))
			b.pause(ctx)
		}
	}
}

// due reports whether the window has to be cut: by its age, its size, or because of Flush.
func (b *Batcher) due() bool {
	if b.window.empty() {
		return false
	}
	if b.window.transactions >= b.options.MaxWindow || b.window.bytes >= b.options.MaxWindowBytes {
		return true
	}
	return !time.Now().Before(b.cutAt()) || b.flushable()
}

// flushable reports whether Flush waits for the events in the window.
func (b *Batcher) flushable() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked > b.sealed && b.read >= b.asked
}

// wait is for the next events of the journal. It is used again for as long as it ends early enough: most groups of events find the
// window's end where the group before them found it.
type wait struct {
	ctx   context.Context // nil at first
	stop  context.CancelFunc
	until time.Time // zero: without an end
}

// renew makes w end when the window has to be cut, or that is looked at again, or Flush is called.
func (b *Batcher) renew(ctx context.Context, w *wait) {
	var until time.Time
	if !b.window.empty() {
		until = earlier(b.cutAt(), time.Now().Add(b.options.FlushInterval))
	}
	if w.ctx == nil || w.ctx.Err() != nil || w.until.IsZero() != until.IsZero() || until.Before(w.until) {
		w.stop()
		if w.until = until; until.IsZero() {
			w.ctx, w.stop = context.WithCancel(ctx)
		} else {
			w.ctx, w.stop = context.WithDeadline(ctx, until)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake = w.stop
	if b.asked > b.sealed && b.read >= b.asked {
		w.stop()
	}
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
