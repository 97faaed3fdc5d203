package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	fault "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"
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

// damaged reports whether an error says that nobody will ever read the file.
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
	return guarded(func() error { return l.db.View(read) })
}

// update changes the database, and returns once that is durable.
func (l *Ledger) update(change func(*bbolt.Tx) error) error {
	l.file.RLock()
	defer l.file.RUnlock()
	if l.db == nil {
		return ErrAway
	}
	return guarded(func() error { return l.db.Update(change) })
}

// openOrRenew opens the database. One that is damaged is set aside, and a new one is made.
func (l *Ledger) openOrRenew() error {
	path := filepath.Join(l.options.Dir, fileName)
	db, err := openFile(path)
	if damaged(err) {
		aside := fmt.Sprintf("%s.damaged-%d", path, time.Now().Unix())
		if err := os.Rename(path, aside); err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		l.options.Log.Error("the ledger is damaged: it begins anew, and the old one is kept", zap.Error(err), zap.String("kept", aside))
		db, err = openFile(path)
	}
	if err != nil {
		return fmt.Errorf("ledger: open %s: %w", path, err)
	}
	l.file.Lock()
	l.db = db
	l.file.Unlock()
	return nil
}

// renew replaces a database that turned out to be damaged. What the log still holds is booked again.
func (r *run) renew(why error) error {
	r.file.Lock()
	db := r.db
	r.db = nil
	r.file.Unlock()
	if db != nil {
		go func() { _ = guarded(db.Close) }() // it ends with the last who reads, if the panic left it a way to end
		path := filepath.Join(r.options.Dir, fileName)
		aside := fmt.Sprintf("%s.damaged-%d", path, time.Now().Unix())
		r.options.Log.Error("the ledger is damaged: it begins anew, and the old one is kept", zap.Error(why), zap.String("kept", aside))
		if err := os.Rename(path, aside); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("ledger: %w", err)
		}
	}
	if err := r.openOrRenew(); err != nil {
		return err
	}
	r.restart()
	return nil
}

// restart reads the log from its beginning. Something is missing from now on: what was booked before.
func (r *run) restart() {
	_ = r.accounts.Close()
	r.spool.Booked(1)
	r.accounts = r.spool.Accounts()
	r.names.forget()
	r.gathered, r.cells, r.next, r.missed = nil, 0, 0, true
	r.note(func(s *Stats) { s.Next = 1 })
}
