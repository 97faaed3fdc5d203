package ledger

import (
	"context"
	"errors"
	"fmt"
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

	// ErrAway is returned while there is no database: a damaged one could not be replaced.
	ErrAway = errors.New("ledger: the database cannot be used at the moment")
)

// guarded calls f. bbolt panics over pages that make no sense, and reads them through a mapping, where a failing disk
// is a fault of memory: neither may end the daemon.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return f()
}

// damaged reports whether an error says that the file can never be read.
func damaged(err error) bool {
	for _, target := range []error{errDamaged, fault.ErrInvalid, fault.ErrChecksum, fault.ErrVersionMismatch} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// view reads one state of the database.
func (l *Ledger) view(read func(*bbolt.Tx) error) error {
	l.file.RLock()
	defer l.file.RUnlock()
	if l.db == nil {
		return ErrAway
	}
	err := guarded(func() error { return l.db.View(read) })
	if damaged(err) {
		l.suspect(err)
	}
	return err
}

// answer reads one state of the database for an answer, which is given only while the file is known to hold.
func (l *Ledger) answer(read func(*bbolt.Tx) error) error {
	if err := l.readable(); err != nil {
		return err
	}
	return l.view(read)
}

// update changes the database, and returns once that is durable.
func (l *Ledger) update(change func(*bbolt.Tx) error) error {
	l.file.RLock()
	defer l.file.RUnlock()
	if l.db == nil {
		return ErrAway
	}
	err := guarded(func() error { return l.db.Update(change) })
	if damaged(err) {
		l.suspect(err)
	}
	return err
}

// openOrRepair opens the database. A small one is checked first, and a large one by Run, before anything is read or
// written. A damaged one is replaced by what of it holds.
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

// repair replaces a damaged file by what of it holds, or removes it where that is nothing. The damaged one is kept beside it.
// It reports whether anything holds; nothing has the file open. After an error of the disk it may be called again.
func (l *Ledger) repair(ctx context.Context, why error) (kept bool, err error) {
	aside, fresh := fmt.Sprintf("%s.damaged-%d", l.path(), time.Now().Unix()), l.path()+".repaired"
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
		l.options.Log.Error("ledger.db is damaged: the ledger begins anew, and the damaged file is kept", zap.NamedError("damage", why), zap.Error(err), zap.String("kept", aside))
		_ = os.Remove(fresh)
		if err := durable.Rename(l.path(), aside); err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, fmt.Errorf("ledger: %w", err)
		}
		return false, nil
	}
	l.options.Log.Error("ledger.db is damaged: what of it holds was copied into a new file, and the damaged one is kept",
		zap.NamedError("damage", why), zap.Int("rows", found.Rows), zap.Int("batches", found.Batches), zap.Int("lost", found.Lost), zap.String("kept", aside))
	if err := os.Link(l.path(), aside); err != nil {
		l.options.Log.Warn("the damaged ledger.db cannot be kept", zap.Error(err))
	}
	if err := durable.Rename(fresh, l.path()); err != nil {
		return false, fmt.Errorf("ledger: %w", err)
	}
	return true, nil
}

// renew replaces a database that turned out to be damaged. Where nothing of it holds, what the log still has is booked again.
func (r *run) renew(ctx context.Context, why error) error {
	r.file.Lock()
	db := r.db
	r.db = nil
	r.file.Unlock()
	if db != nil {
		go func() { _ = guarded(db.Close) }() // it ends with the last reader, if the panic left it a way to end
	}
	if !r.repaired {
		kept, err := r.repair(ctx, why)
		if err != nil {
			return err
		}
		r.repaired, r.anew = true, !kept
	}
	if err := r.openOrRepair(ctx); err != nil {
		return err
	}
	r.repaired = false
	r.names.forget()
	r.setUnreadable(nil)
	r.note(func(s *Stats) { s.Missed = true })
	r.missed = true
	if r.anew {
		r.restart()
	}
	return nil
}

// restart reads the log from its beginning. Something is missing from now on: what was booked before.
func (r *run) restart() {
	_ = r.accounts.Close()
	r.spool.Booked(1)
	r.accounts = r.spool.ChangeFeed()
	r.names.forget()
	r.gathered, r.cells, r.next, r.missed, r.anew = nil, 0, 0, true, false
	r.note(func(s *Stats) { s.Next = 1 })
}
