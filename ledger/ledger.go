package ledger

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	fault "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/spool"
)

// FileName is the name of the database's file in Options.Dir.
const FileName = "ledger.db"

const (
	fileName = FileName

	// gatherTime and gatherCells bound what one transaction of the database books.
	gatherTime  = time.Second
	gatherCells = 100_000

	// restless is how many records that book nothing may go by until the place behind them is written.
	restless = 10_000

	// again is how long it waits after an error of the disk.
	again = 5 * time.Second

	// keepBatches is how long it is known what a batch added: until the last of its hours is sealed at 3scale, and
	// three days more.
	keepBatches = 5 * 24 * time.Hour

	pruneEvery = 10 * time.Minute
)

var (
	bucketMeta    = []byte("meta")
	bucketNames   = []byte("names")
	bucketNumbers = []byte("numbers")
	bucketDays    = []byte("days")
	bucketBatches = []byte("evidence")

	keyNext   = []byte("next")
	keyMissed = []byte("missed")

	keyEvidence = []byte("evidence")
)

// Options of Open.
type Options struct {
	Dir      string        // the data directory
	Keep     time.Duration // how long cells are kept
	MaxBytes int64         // of the file; days are given up for it, the oldest first
	Log      *zap.Logger

	// Parents returns a service's metrics by their methods, as far as they are known. It may be nil.
	Parents func(service string) map[string]string
}

// Ledger is safe for concurrent use.
type Ledger struct {
	options Options
	file    sync.RWMutex // guards db; held for reading while it is used
	db      *bbolt.DB    // nil: away
	next    uint64       // where the batch log is to be read, at Open or Anchor

	anchored bool // the place was held against the log; Anchor's callers, one at a time

	mu         sync.Mutex // guards what follows
	stats      Stats
	unreadable error     // why no answers are given; nil: they are
	checkDue   time.Time // when the whole file is read again
	wake       func()    // has Run go on at once; nil: it is not waiting
}

// Stats are figures since the start.
type Stats struct {
	Booked   uint64    // things that happened to batches
	Next     uint64    // the sequence number of the batch log that is to be booked next
	Latest   time.Time // when something was booked last
	Bytes    int64     // of the file, in use
	Missed   bool      // since it was made, the ledger could not read something: its figures may be less than what happened
	Trouble  string    // why it does not book at the moment; empty: it does
	GivenUp  uint64    // days that were given up for MaxBytes
	SetAside uint64    // transactions that the database cannot take: they are missing from the figures
	Earliest time.Time // the first day that is kept; zero: none
}

// Open opens the database, or makes it. One that is damaged is set aside, and a new one is made.
func Open(o Options) (*Ledger, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	l := &Ledger{options: o}
	if err := l.openOrRepair(context.Background()); err != nil {
		return nil, err
	}
	err := l.view(func(tx *bbolt.Tx) error {
		now, err := readState(tx)
		l.next, l.stats.Missed = now.next, now.missed
		return err
	})
	l.measure()
	l.stats.Next = l.Next()
	return l, err
}

func openFile(path string) (db *bbolt.DB, err error) {
	err = guarded(func() (err error) {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
		return err
	})
	if err != nil {
		return nil, err
	}
	err = guarded(func() error {
		if whole := db.View(hasBuckets); whole == nil {
			return nil
		}
		return db.Update(makeBuckets)
	})
	if err != nil {
		return nil, errors.Join(err, guarded(db.Close))
	}
	return db, nil
}

var allBuckets = [][]byte{bucketMeta, bucketNames, bucketNumbers, bucketDays, bucketBatches}

// hasBuckets returns nil where nothing has to be made.
func hasBuckets(tx *bbolt.Tx) error {
	for _, name := range allBuckets {
		if tx.Bucket(name) == nil {
			return fault.ErrBucketNotFound
		}
	}
	if tx.Bucket(bucketMeta).Get(keyState) == nil {
		return errState
	}
	return nil
}

func makeBuckets(tx *bbolt.Tx) error {
	for _, name := range allBuckets {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	now, err := readState(tx)
	if err != nil || tx.Bucket(bucketMeta).Get(keyState) != nil {
		return err
	}
	return now.write(tx)
}

// Next is where Spool.Accounts has to begin: spool.Options.Accounted. It is 1 for a new ledger.
func (l *Ledger) Next() uint64 { return max(l.next, 1) }

// Close closes the database, once Run has returned.
func (l *Ledger) Close() error {
	l.file.Lock()
	defer l.file.Unlock()
	if l.db == nil {
		return nil
	}
	return guarded(l.db.Close)
}

// Stats returns figures.
func (l *Ledger) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

func (l *Ledger) note(change func(*Stats)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.stats)
}

// Run books what happens to batches until ctx ends. It delays no other part of the daemon: while the database cannot be written, it tries
// again, and the spool keeps what is to be booked as long as it has room.
func (l *Ledger) Run(ctx context.Context, s *spool.Spool) {
	for !l.anchored && ctx.Err() == nil {
		if err := l.Anchor(s); err != nil {
			l.trouble(err)
			pause(ctx, again)
		}
	}
	r := run{Ledger: l, spool: s, accounts: s.ChangeFeed(), durable: l.Next()}
	defer func() { _ = r.accounts.Close() }()
	for ctx.Err() == nil {
		r.check(ctx)
		if r.due.Before(time.Now()) {
			r.prune(ctx)
		}
		r.upgradeSome()
		if r.gather(ctx); r.next > 0 {
			r.book(ctx)
		}
	}
}

// run is the loop's own.
type run struct {
	*Ledger
	spool    *spool.Spool
	accounts *spool.ChangeFeed
	names    names
	due      time.Time // of the next pruning

	gathered []spool.BatchEvent
	cells    int
	next     uint64 // behind what was gathered; 0: nothing was
	sum      uint32 // of the frame before next
	durable  uint64 // behind what is booked in the database
	missed   bool
	upgrade  upgrade
	repaired bool  // a damaged file was replaced, and the new one is not open yet
	anew     bool  // nothing of a damaged file held: the log is to be read from its beginning
	aside    aside // records that the database refused
	left     aside // transactions that the latest attempt to book left out
	maxName  int   // 0: as much as the database takes; tests set it
}

// gather reads what one transaction will book. It returns with nothing when there is nothing for a while.
func (r *run) gather(ctx context.Context) {
	patience := pruneEvery
	if !r.upgrade.done || r.readable() != nil {
		patience = upgradePause
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r.waking(cancel)
	defer r.waking(nil)
	for r.cells < gatherCells {
		page, err := r.accounts.Next(wait)
		if err != nil {
			if wait.Err() == nil {
				r.trouble(err)
				pause(wait, again)
			}
			return
		}
		if r.next == 0 {
			cancel()
			wait, cancel = context.WithTimeout(ctx, gatherTime)
			defer cancel()
			r.waking(nil)
		}
		r.gathered = append(r.gathered, page.Events...)
		for i := range page.Events {
			r.cells += len(page.Events[i].Batch.Transactions)
		}
		r.next, r.sum, r.missed = page.Next, page.Sum, r.missed || page.Missed
	}
}

// book writes what was gathered, and tries until it is durable or ctx ends.
func (r *run) book(ctx context.Context) {
	if len(r.gathered) == 0 && !r.missed && r.next < r.durable+restless {
		next := r.next
		r.note(func(s *Stats) { s.Next = next }) // nothing was to be booked: not worth a transaction
		r.next = 0
		return
	}
	for renewed := false; ; {
		err := r.commit()
		if err == nil {
			r.measure()
			break
		}
		r.names.forget()
		if refused(err) && r.isolate() {
			continue
		}
		r.trouble(err)
		if damaged(err) || errors.Is(err, ErrAway) {
			r.suspect(err)
			if err := r.renew(ctx, err); err != nil {
				r.trouble(err)
			} else if r.next == 0 {
				return // what was gathered is read again
			} else if !renewed {
				renewed = true
				continue
			}
		}
		if pause(ctx, again); ctx.Err() != nil {
			return
		}
	}
	r.spool.Booked(r.next)
	r.durable = r.next
	booked, next, missed := uint64(len(r.gathered)), r.next, r.missed
	var was string
	r.note(func(s *Stats) {
		was = s.Trouble
		s.Booked, s.Next, s.Latest, s.Trouble = s.Booked+booked, next, time.Now(), ""
		missed = missed && !s.Missed
		s.Missed = s.Missed || missed
	})
	r.sayAside()
	if was != "" {
		r.options.Log.Info("the ledger is written again")
	}
	if missed {
		r.options.Log.Error("the ledger is incomplete: its figures may be less than what happened")
	}
	r.gathered, r.cells, r.next, r.missed = r.gathered[:0], 0, 0, false
}

func (r *run) commit() error {
	return r.update(func(tx *bbolt.Tx) error {
		b := r.newBooking(tx, &r.names)
		for i := range r.gathered {
			b.account(&r.gathered[i])
		}
		if err := b.write(); err != nil {
			return err
		}
		r.left, r.missed = b.aside, r.missed || b.aside.count > 0
		now, err := readState(tx)
		if err != nil {
			return err
		}
		now.missed = now.missed || r.missed
		now.advance(mark{r.next, r.sum})
		return now.write(tx)
	})
}

// trouble says why nothing is booked, once.
func (l *Ledger) trouble(err error) {
	var was string
	l.note(func(s *Stats) { was, s.Trouble = s.Trouble, err.Error() })
	if was == "" {
		l.options.Log.Error("the ledger is not written: it is tried again", zap.Error(err), zap.Duration("again", again))
	}
}

// waking says what suspect does to end the wait for news.
func (l *Ledger) waking(wake func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake = wake
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
