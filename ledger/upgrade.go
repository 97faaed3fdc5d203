package ledger

import (
	"bytes"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

const (
	// upgradeRows limits how many rows of an older version one transaction rewrites; upgradePause is the pause between two
	// transactions while there is nothing to book.
	upgradeRows  = 5000
	upgradePause = 100 * time.Millisecond
)

// upgrade is the progress of rewriting values of an older version, which have no checksums. It belongs to the goroutine of Run.
type upgrade struct {
	done   bool
	bucket int    // of upgradeBuckets
	from   []byte // the next key
}

var upgradeBuckets = [][]byte{bucketDays, bucketBatches}

// upgradeSome adds checksums to some values of an older version, and records in the state when all have one. After a restart it
// begins with the first value again, and skips those with a checksum. Evidence that an older version wrote once for each
// ambiguous report is shortened.
func (r *run) upgradeSome() {
	if r.upgrade.done {
		return
	}
	next := r.upgrade
	err := r.update(func(tx *bbolt.Tx) error {
		now, err := readState(tx)
		if err != nil || now.sealed {
			next.done = err == nil
			return err
		}
		if next.bucket < len(upgradeBuckets) {
			return next.page(tx)
		}
		next.done, now.sealed = true, true
		return now.write(tx)
	})
	switch {
	case damaged(err):
		r.suspect(err)
	case err != nil:
		r.logFailure(err)
	default:
		if next.done && !r.upgrade.done && next.bucket > 0 {
			r.options.Log.Info("the upgrade of ledger.db is complete: all values have checksums")
		}
		r.upgrade = next
	}
}

// page rewrites the next values of a bucket.
func (u *upgrade) page(tx *bbolt.Tx) error {
	name := upgradeBuckets[u.bucket]
	bucket, read, change := tx.Bucket(name), 0, int64(0)
	var keys, values [][]byte
	c := bucket.Cursor()
	k, v := c.Seek(u.from)
	for ; k != nil && read < upgradeRows && len(keys) < upgradeRows; k, v = c.Next() {
		read++
		if len(v) > 0 && v[0] == sealByte {
			continue
		}
		plain, err := shorter(name, k, v)
		if err != nil {
			return err
		}
		keys, values = append(keys, bytes.Clone(k)), append(values, seal(nil, k, plain))
		change += int64(len(values[len(values)-1]) - len(v))
	}
	if u.from = bytes.Clone(k); k == nil {
		u.bucket, u.from = u.bucket+1, nil
	}
	for i, key := range keys {
		if err := bucket.Put(key, values[i]); err != nil {
			return err
		}
	}
	if change == 0 || !bytes.Equal(name, bucketBatches) {
		return nil
	}
	return addEvidence(tx, change)
}

// shorter decodes a value of an older version, and returns the value to write in its place.
func shorter(bucket, key, value []byte) ([]byte, error) {
	if bytes.Equal(bucket, bucketDays) {
		if err := eachCell(value, func(*cell) {}); err != nil {
			return nil, fmt.Errorf("%w: %w", errDamaged, err)
		}
		return value, nil
	}
	if isRepeat(key) {
		return value, nil
	}
	var r batchRow
	if !r.decode(value) {
		return nil, fmt.Errorf("%w: batch %s: %w", errDamaged, key[4:], errCells)
	}
	r.fold()
	return r.encode(), nil
}
