package ledger

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	fault "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk"
	"github.com/reporterd/reporterd/threescale"
)

// FileName is the name of the database's file in Options.Dir.
const FileName = "ledger.db"

const (
	fileName = FileName

	// gatherTime and gatherCells limit what one transaction of the database books.
	gatherTime  = time.Second
	gatherCells = 100_000

	// stateEvery is after how many records without usage the place in the log is written.
	stateEvery = 10_000

	// retryPause is the pause after a disk error.
	retryPause = 5 * time.Second

	// keepBatches is how long evidence of a batch is kept: until the last of its hours is sealed at 3scale, plus three days.
	keepBatches = 5 * 24 * time.Hour

	pruneEvery = 10 * time.Minute

	// stopTime is how long a booking may go on after the end of Run's context.
	stopTime = 500 * time.Millisecond
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
	MaxBytes int64         // of the file; to stay below it, the oldest days are deleted
	Log      *zap.Logger

	// Copy is a disk for a copy of the file, which Run renews every 15 s at most; nil: none. Where there is one, Restore begins with the
	// copy in place of a file in Dir, and the spool keeps the records that the copy lacks. It is used by one ledger at a time.
	Copy disk.FS

	// Parents returns the parent of each method of a service, if known. It may be nil.
	Parents func(service string) map[string]string

	// Resolve returns the id of the application that a user key in a batch of a lane belongs to; empty: not known. It is called
	// before such usage is booked. It may be nil.
	Resolve func(spool.LaneKey, threescale.Application) (id string)

	// End returns what receipts showed of a batch that has ended. Sent calls each with every batch that 3scale accepted and whose
	// receipts have not moved yet. Both are nil where there are no receipts, and may be called concurrently. A ledger that is only
	// read needs no End.
	End  func(spool.BatchID) End
	Sent func(each func(*spool.Batch))
}

// Ledger is the database and its state. It is safe for concurrent use.
type Ledger struct {
	options Options
	file    sync.RWMutex // guards db; held for reading while db is used
	db      *bbolt.DB    // nil: not available
	next    uint64       // where the batch log is read next, as of Open or Anchor
	copy    *copied      // used by Restore and Run only; nil: none is kept
	days    *days

	instance atomic.Uint64 // random; another one once names may have other numbers
	moves    atomic.Uint64 // how often rows moved to another application

	anchored bool // the place was compared with the log; used by Anchor and Run only

	paging sync.RWMutex // held for reading while an answer is read in several transactions; for writing, without waiting for it, while rows move to another application

	mu         sync.Mutex // guards the fields below
	stats      Stats
	unreadable error            // why answers fail; nil: they are given
	checkDue   time.Time        // when the whole file is read again
	wake       func()           // wakes Run; nil: it is not waiting
	aliases    map[alias]string // with the ids of applications, not stored yet

	deliveredUsage map[string]map[string]uint64 // by service and metric, since the start
}

// Open opens the database, or creates it. A damaged file is repaired, or replaced by an empty one. It ignores Options.Copy.
func Open(o Options) (*Ledger, error) {
	o.Copy = nil
	return Restore(context.Background(), o)
}

// Restore is Open, with a file that begins as the copy on Options.Copy: what is in Options.Dir is removed. An error that comes from
// reading the copy changes nothing on that disk, and Restore may be called again. A damaged copy counts as an empty one, and marks the
// ledger as incomplete. If ctx ends first, that is the error.
func Restore(ctx context.Context, o Options) (*Ledger, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	l := &Ledger{options: o, days: newDays(o.Dir), deliveredUsage: map[string]map[string]uint64{}}
	l.instance.Store(rand.Uint64())
	complete, err := l.restore(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.openOrRepair(ctx); err != nil {
		return nil, err
	}
	err = l.view(func(tx *bbolt.Tx) error {
		now, err := readState(tx)
		l.next, l.stats.Missed = now.next, now.missed
		l.days.open(uint64(tx.ID()))
		return err
	})
	if err == nil && !complete {
		err = l.setMissed()
	}
	if err != nil {
		return nil, errors.Join(err, l.Close()) // its lock would keep the next attempt out
	}
	l.measure()
	l.stats.Next = l.Next()
	return l, nil
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

// hasBuckets returns nil if the file is complete.
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

// Next returns where the change feed has to begin (Spool.Booked). It is 1 for a new ledger.
func (l *Ledger) Next() uint64 { return max(l.next, 1) }

// Close closes the database. Run must have returned.
func (l *Ledger) Close() error {
	l.file.Lock()
	defer l.file.Unlock()
	if l.db == nil {
		return nil
	}
	return guarded(l.db.Close)
}

// Run books the events of batches until ctx ends. It delays no other part of the daemon: if the database cannot be written, it
// retries, and the spool keeps the events within its limit.
func (l *Ledger) Run(ctx context.Context, s *spool.Spool) {
	for !l.anchored && ctx.Err() == nil {
		if err := l.Anchor(s); err != nil {
			l.logFailure(err)
			pause(ctx, retryPause)
		}
	}
	r := run{Ledger: l, spool: s, feed: s.ChangeFeed(), durable: l.Next()}
	defer func() { _ = r.feed.Close() }()
	for ctx.Err() == nil {
		r.check(ctx)
		if r.due.Before(time.Now()) {
			r.prune(ctx)
		}
		r.upgradeSome()
		r.storeWaiting(ctx)
		r.copySome(ctx)
		r.fileDay(ctx)
		if r.gather(ctx); r.next > 0 {
			r.book(ctx)
		}
	}
}

// run is the state of Run's goroutine.
type run struct {
	*Ledger
	spool *spool.Spool
	feed  *spool.ChangeFeed
	names names
	due   time.Time // the time of the next pruning

	gathered  []spool.BatchEvent
	cells     int
	next      uint64 // the sequence number after what was gathered; 0: nothing was
	sum       uint32 // of the frame before next
	durable   uint64 // the sequence number after what is booked in the database
	missed    bool
	upgrade   upgrade
	filing    bool              // there may be another day to write into a file
	repaired  bool              // a damaged file was replaced, and the new one is not open yet
	startOver bool              // nothing could be recovered from a damaged file: the log is read from its beginning
	refused   unbooked          // records that the database refused
	skipped   unbooked          // transactions that the latest attempt to book skipped
	delivered map[Metric]uint64 // usage that the latest attempt to book books as delivered
	maxName   int               // 0: the database's limit; set by tests
}

// gather reads what one transaction will book. It returns without events when there are none for a while.
func (r *run) gather(ctx context.Context) {
	patience := r.patience()
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r.setWake(cancel)
	defer r.setWake(nil)
	if patience > upgradePause && r.hasWaiting() { // learned before the wake was set
		return
	}
	for r.cells < gatherCells {
		page, err := r.feed.Next(wait)
		if err != nil {
			if wait.Err() == nil {
				r.logFailure(err)
				pause(wait, retryPause)
			}
			return
		}
		if r.next == 0 {
			cancel()
			wait, cancel = context.WithTimeout(ctx, gatherTime)
			defer cancel()
			r.setWake(nil)
		}
		r.gathered = append(r.gathered, page.Events...)
		for i := range page.Events {
			r.cells += len(page.Events[i].Batch.Transactions)
		}
		r.next, r.sum, r.missed = page.Next, page.Sum, r.missed || page.Missed
	}
}

// book writes what was gathered, and retries until it is durable or ctx ends.
func (r *run) book(ctx context.Context) {
	if len(r.gathered) == 0 && !r.missed && r.next < r.durable+stateEvery {
		next := r.next
		r.updateStats(func(s *Stats) { s.Next = next }) // no event: not worth a transaction
		r.next = 0
		return
	}
	late, cancel := afterwards(ctx, stopTime)
	defer cancel()
	for renewed := false; ; {
		err := r.commit(late)
		if err == nil {
			r.measure()
			break
		}
		r.names.forget()
		if late.Err() != nil {
			return // what was not booked is read again after the next start
		}
		if refused(err) && r.isolate() {
			continue
		}
		r.logFailure(err)
		if damaged(err) || errors.Is(err, ErrUnavailable) {
			r.suspect(err)
			if err := r.renew(ctx, err); err != nil {
				r.logFailure(err)
			} else if r.next == 0 {
				return // the records are read again
			} else if !renewed {
				renewed = true
				continue
			}
		}
		if pause(ctx, retryPause); ctx.Err() != nil {
			return
		}
	}
	r.release(r.next)
	r.durable = r.next
	booked, next, missed := uint64(len(r.gathered)), r.next, r.missed
	var was string
	r.updateStats(func(s *Stats) {
		was = s.Trouble
		s.Booked, s.Next, s.Latest, s.Trouble = s.Booked+booked, next, time.Now(), ""
		missed = missed && !s.Missed
		s.Missed = s.Missed || missed
	})
	r.countDelivered(r.delivered)
	r.logUnbooked()
	if was != "" {
		r.options.Log.Info("ledger.db can be written again")
	}
	if missed {
		r.options.Log.Error("the ledger is incomplete: some usage is missing from its figures")
	}
	r.gathered, r.cells, r.next, r.missed = r.gathered[:0], 0, 0, false
}

// commit books what was gathered in one transaction, after its names have numbers and its user keys are resolved. When ctx ends, it returns within a fraction of
// a second and nothing is booked, unless the transaction is being written.
func (r *run) commit(ctx context.Context) error {
	r.resolve()
	if err := r.storeAliases(ctx); err != nil {
		return err
	}
	numbered, err := r.numberNames(ctx)
	if err != nil {
		return err
	}
	return r.update(func(tx *bbolt.Tx) error {
		b := r.newBooking(tx, &r.names)
		b.numbered = numbered
		for i := range r.gathered {
			if err := ctx.Err(); err != nil {
				return err
			}
			b.event(&r.gathered[i])
		}
		r.changing(b.changes)
		delivered := b.delivered()
		if err := b.write(ctx); err != nil {
			return err
		}
		r.skipped, r.missed, r.delivered = b.unbooked, r.missed || b.unbooked.count > 0, delivered
		now, err := readState(tx)
		if err != nil {
			return err
		}
		now.missed = now.missed || r.missed
		now.advance(logPlace{r.next, r.sum})
		return now.write(tx)
	})
}

// logFailure logs why nothing is booked, once.
func (l *Ledger) logFailure(err error) {
	var was string
	l.updateStats(func(s *Stats) { was, s.Trouble = s.Trouble, err.Error() })
	if was == "" {
		l.options.Log.Error("cannot write ledger.db, retrying; delivery continues", zap.Error(err), zap.Duration("again", retryPause))
	}
}
