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
	// checkEvery is how often the whole file is read and held against its checksums.
	checkEvery = time.Hour

	// checkAtOpen is how large a file may be that is checked before Open returns, bytes: a fraction of a second.
	checkAtOpen = 64 << 20
)

var (
	// ErrUnchecked is returned until the file has been read once after a start.
	ErrUnchecked = errors.New("ledger: the file is being checked: ask again in a few seconds")

	// ErrDamaged is returned from the moment damage is found until the file is repaired.
	ErrDamaged = errors.New("ledger: the file is damaged and is being repaired: ask again in a few seconds")
)

// inspection holds the contents of the file together: what each value says, and what they say of each other.
type inspection struct {
	state              state
	known              bool // the state was read
	old                int  // values that only older versions have
	rows               int
	names, numbers     uint64
	nameSum, numberSum uint64 // sums over the pairs of name and number: each pair stands twice
	sequence           uint64
}

// checkFile reads the whole file and returns errDamaged where anything in it does not hold, or an error of the disk, from
// which nothing follows. Nothing may write the file meanwhile.
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

// conclude holds against each other what was read.
func (in *inspection) conclude() error {
	switch {
	case in.known && in.old > 0, !in.known && in.state.next == 0 && in.rows > 0:
		return errState
	case in.names != in.numbers || in.nameSum != in.numberSum:
		return fmt.Errorf("%w: names and numbers do not agree", errDamaged)
	case in.known && in.sequence != in.state.numbers || in.sequence < in.numbers:
		return fmt.Errorf("%w: the count of names", errDamaged)
	}
	return nil
}

// pairSum is a number for a pair of name and number, for sums that do not depend on the order.
func pairSum(kind byte, number, text []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte{kind})
	_, _ = h.Write(number)
	_, _ = h.Write(text)
	return h.Sum64()
}

func (l *Ledger) path() string { return filepath.Join(l.options.Dir, fileName) }

// readable returns nil where answers can be given, and otherwise why not.
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

// suspect ends all answers, and has Run check and repair the file now.
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

// check reads the whole file where that is due, and repairs it where it is damaged. The loop is the only writer, so that the
// file does not change meanwhile; booking waits for it, for a second or two with half a gigabyte.
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
			r.trouble(err)
			pause(ctx, again)
			return
		}
	case err != nil: // the disk: nothing follows from it
		r.options.Log.Warn("ledger.db cannot be checked: it is tried again", zap.Error(err), zap.Duration("again", pruneEvery))
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
