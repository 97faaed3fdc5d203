package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	fault "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/internal/durable"
)

var (
	errDamaged = errors.New("the file is damaged")

	// ErrUnavailable is returned while there is no database: a damaged one could not be replaced.
	ErrUnavailable = errors.New("ledger: the database is not available: it is damaged and could not be replaced yet")
)

// guarded calls f and turns a panic into an error. bbolt panics over damaged pages, and reads them through a memory mapping,
// where a disk error is a memory fault: neither may end the daemon.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return f()
}

// damaged reports whether an error says that the file is damaged, so that a retry does not help.
func damaged(err error) bool {
	for _, target := range []error{errDamaged, fault.ErrInvalid, fault.ErrChecksum, fault.ErrVersionMismatch} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// view runs read in a read transaction.
func (l *Ledger) view(read func(*bbolt.Tx) error) error {
	l.file.RLock()
	defer l.file.RUnlock()
	if l.db == nil {
		return ErrUnavailable
	}
	err := guarded(func() error { return l.db.View(read) })
	if damaged(err) {
		l.suspect(err)
	}
	return err
}

// answer runs read in a read transaction for an answer, unless the file is damaged or not checked yet.
func (l *Ledger) answer(read func(*bbolt.Tx) error) error {
	if err := l.readable(); err != nil {
		return err
	}
	return l.view(read)
}

// update runs change in a transaction, and returns once that is durable.
func (l *Ledger) update(change func(*bbolt.Tx) error) error {
	l.file.RLock()
	defer l.file.RUnlock()
	if l.db == nil {
		return ErrUnavailable
	}
	err := guarded(func() error { return l.db.Update(change) })
	if damaged(err) {
		l.suspect(err)
	}
	return err
}

// openOrRepair opens the database. A small file is checked first; a large one is checked by Run before it is read or written. A
// damaged file is replaced by its valid part.
func (l *Ledger) openOrRepair(ctx context.Context) error {
	info, err := os.Stat(l.path())
	var db *bbolt.DB
	switch {
	case err == nil && info.Size() > checkAtOpen:
		l.setUnreadable(ErrUnchecked) // until Run has checked it
	case err == nil && info.Size() > 0:
		err = checkFile(ctx, l.path())
		l.setCheckDue(time.Now().Add(checkEvery))
	default:
		err = nil
		l.setCheckDue(time.Now().Add(checkEvery))
	}
	if err == nil {
		db, err = openFile(l.path())
	}
	if damaged(err) {
		l.days.removeAll()
		if _, err = l.repair(ctx, err); err == nil {
			db, err = openFile(l.path())
		}
	}
	if err != nil {
		return fmt.Errorf("ledger: open %s: %w", l.path(), err)
	}
	l.file.Lock()
	l.db = db
	l.file.Unlock()
	return nil
}

// repair replaces a damaged file by its valid part, or removes it if there is none. The damaged file is kept under another name.
// It reports whether there is a valid part; the file must not be open. After a disk error it may be called again.
func (l *Ledger) repair(ctx context.Context, why error) (kept bool, err error) {
	damagedPath, fresh := fmt.Sprintf("%s.damaged-%d", l.path(), time.Now().Unix()), l.path()+".repaired"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("ledger: %w", err)
	}
	var found salvaged
	err = guarded(func() (err error) {
		found, err = salvage(ctx, l.path(), fresh)
		return err
	})
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil && !damaged(err) && !errors.Is(err, os.ErrNotExist) {
		_ = os.Remove(fresh)
		return false, err
	}
	if err != nil {
		l.options.Log.Error("ledger.db is damaged: nothing could be recovered, the ledger starts empty, and the damaged file is kept", zap.NamedError("damage", why), zap.Error(err), zap.String("kept", damagedPath))
		_ = os.Remove(fresh)
		if err := durable.Rename(l.path(), damagedPath); err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, fmt.Errorf("ledger: %w", err)
		}
		return false, nil
	}
	l.options.Log.Error("ledger.db is damaged: the valid part was copied into a new file, and the damaged file is kept",
		zap.NamedError("damage", why), zap.Int("rows", found.Rows), zap.Int("batches", found.Batches), zap.Int("lost", found.Lost), zap.String("kept", damagedPath))
	if err := os.Link(l.path(), damagedPath); err != nil {
		l.options.Log.Warn("cannot keep the damaged ledger.db", zap.Error(err))
	}
	if err := durable.Rename(fresh, l.path()); err != nil {
		return false, fmt.Errorf("ledger: %w", err)
	}
	return true, nil
}

// renew replaces a database that is damaged. If nothing could be recovered, the records still in the log are booked again.
func (r *run) renew(ctx context.Context, why error) error {
	r.file.Lock()
	db := r.db
	r.db = nil
	r.file.Unlock()
	r.days.removeAll() // the new one may have other numbers
	if db != nil {
		go func() { _ = guarded(db.Close) }() // ends with the last reader, if the panic left the database in a state to close
	}
	if !r.repaired {
		kept, err := r.repair(ctx, why)
		if err != nil {
			return err
		}
		r.repaired, r.startOver = true, !kept
	}
	if err := r.openOrRepair(ctx); err != nil {
		return err
	}
	r.repaired = false
	r.instance.Store(rand.Uint64())
	r.names.forget()
	r.setUnreadable(nil)
	r.updateStats(func(s *Stats) { s.Missed = true })
	r.missed = true
	if r.startOver {
		r.restart()
	}
	return nil
}

// restart reads the log from its beginning. What was booked before is missing, so the ledger is marked as incomplete.
func (r *run) restart() {
	_ = r.feed.Close()
	if r.copy != nil {
		r.copy.place = 0 // the next copy replaces it
	}
	r.spool.Booked(1)
	r.feed = r.spool.ChangeFeed()
	r.names.forget()
	r.gathered, r.cells, r.next, r.missed, r.startOver = nil, 0, 0, true, false
	r.updateStats(func(s *Stats) { s.Next = 1 })
}
