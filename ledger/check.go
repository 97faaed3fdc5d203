package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
)

const (
	// checkEvery is the interval at which the whole file is read and its checksums are verified.
	checkEvery = time.Hour

	// checkAtOpen is the maximum size in bytes of a file that Open checks before it returns: that takes a fraction of a second.
	checkAtOpen = 64 << 20
)

var (
	// ErrUnchecked is returned until the file was checked once after a start.
	ErrUnchecked = errors.New("ledger: the file is being checked: retry in a few seconds")

	// ErrDamaged is returned after damage was found, until the file is repaired.
	ErrDamaged = errors.New("ledger: the file is damaged and is being repaired: retry in a few seconds")
)

// inspection checks the file's values, each one and against each other.
type inspection struct {
	state              state
	known              bool // the state was read
	old                int  // number of values that only older versions have
	rows               int
	names, numbers     uint64
	nameSum, numberSum uint64 // sums over the pairs of name and number, in both buckets
	sequence           uint64
	highest            uint64 // of the numbers in aliases
}

// checkFile reads the whole file. It returns errDamaged if any part does not hold, or a read error, from which nothing follows.
// The file must not be written meanwhile.
func checkFile(ctx context.Context, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	defer func() { _ = file.Close() }()
	in := &inspection{}
	w := walker{ctx: ctx, value: in.value}
	if err := w.walk(file); err != nil {
		return err
	}
	return in.conclude()
}

func (in *inspection) value(bucket string, key, value []byte) error {
	if key == nil {
		sequence := binary.LittleEndian.Uint64(value)
		if bucket == string(bucketNumbers) {
			in.sequence = sequence
		} else if sequence != 0 {
			return fmt.Errorf("%w: bucket %s has a sequence", errDamaged, bucket)
		}
		return nil
	}
	ok := false
	switch bucket {
	case string(bucketMeta):
		return in.meta(string(key), value)
	case string(bucketNames):
		ok = len(key) > 0 && len(value) == 4
		if ok {
			in.names, in.nameSum = in.names+1, in.nameSum+pairSum(key[0], value, key[1:])
		}
	case string(bucketNumbers):
		ok = len(key) == 5
		if ok {
			in.numbers, in.numberSum = in.numbers+1, in.numberSum+pairSum(key[0], key[1:], value)
		}
	case string(bucketAliases):
		plain, err := unseal(key, value, true)
		ok = err == nil && len(key) == 8 && len(plain) == 4
		if ok {
			in.highest = max(in.highest, uint64(binary.BigEndian.Uint32(key)), uint64(binary.BigEndian.Uint32(key[4:])), uint64(binary.BigEndian.Uint32(plain)))
		}
	case string(bucketDays):
		in.rows++
		plain, err := unseal(key, value, in.state.sealed)
		ok = err == nil && len(key) == 12 && (in.state.sealed || eachCell(plain, func(*cell) {}) == nil)
	case string(bucketBatches):
		_, err := unseal(key, value, in.state.sealed)
		ok = err == nil && len(key) > 4
	}
	if !ok {
		return fmt.Errorf("%w: a value of bucket %s", errDamaged, bucket)
	}
	return nil
}

func (in *inspection) meta(key string, value []byte) (err error) {
	switch key {
	case string(keyState):
		in.state, err = parseState(value)
		in.known = true
		return err
	case string(keyNext):
		if len(value) == 8 {
			in.state.next = binary.BigEndian.Uint64(value)
		}
	case string(keyMissed):
		in.state.missed = true
	case string(keyEvidence):
	default:
		return fmt.Errorf("%w: %q in bucket meta", errDamaged, key)
	}
	in.old++
	return nil
}

// conclude compares the totals of what was read.
func (in *inspection) conclude() error {
	switch {
	case in.known && in.old > 0, !in.known && in.state.next == 0 && in.rows > 0:
		return errState
	case in.names != in.numbers || in.nameSum != in.numberSum:
		return fmt.Errorf("%w: names and numbers do not agree", errDamaged)
	case in.known && in.sequence != in.state.numbers || in.sequence < in.numbers:
		return fmt.Errorf("%w: the count of names", errDamaged)
	case in.highest > in.sequence:
		return fmt.Errorf("%w: an alias of a name without a number", errDamaged)
	}
	return nil
}

// pairSum returns a hash of a pair of name and number, for sums that do not depend on the order.
func pairSum(kind byte, number, text []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte{kind})
	_, _ = h.Write(number)
	_, _ = h.Write(text)
	return h.Sum64()
}

func (l *Ledger) path() string { return filepath.Join(l.options.Dir, fileName) }

// readable returns nil if answers can be given, and otherwise the reason.
func (l *Ledger) readable() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unreadable
}

func (l *Ledger) setUnreadable(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unreadable = why
}

// suspect makes all answers fail, and wakes Run to check and repair the file now.
func (l *Ledger) suspect(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unreadable == nil {
		l.options.Log.Error("ledger.db is damaged: reads of the ledger fail until it is repaired; delivery continues", zap.Error(why))
	}
	l.unreadable, l.checkDue = ErrDamaged, time.Time{}
	if l.wake != nil {
		l.wake()
	}
}

// setWake sets the function by which suspect and Learn end the wait for events.
func (l *Ledger) setWake(wake func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake = wake
}

// check reads the whole file if that is due, and repairs it if it is damaged. Run is the only writer, so the file does not change
// meanwhile; booking waits for it, one to two seconds for half a gigabyte.
func (r *run) check(ctx context.Context) {
	r.mu.Lock()
	due := r.checkDue
	r.mu.Unlock()
	if time.Now().Before(due) {
		return
	}
	err := checkFile(ctx, r.path())
	switch {
	case ctx.Err() != nil:
		return
	case damaged(err):
		r.suspect(err)
		if err := r.renew(ctx, err); err != nil {
			r.logFailure(err)
			pause(ctx, retryPause)
			return
		}
	case err != nil: // a read error: nothing follows from it
		r.options.Log.Warn("cannot check ledger.db, retrying", zap.Error(err), zap.Duration("again", pruneEvery))
		r.setCheckDue(time.Now().Add(pruneEvery))
		return
	}
	r.setUnreadable(nil)
	r.setCheckDue(time.Now().Add(checkEvery))
}

func (l *Ledger) setCheckDue(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.checkDue = at
}
