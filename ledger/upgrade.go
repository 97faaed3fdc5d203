package ledger

import (
	"bytes"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

const (
	// upgradeRows bounds what one transaction rewrites of a file of an older version, and upgradePause how long the loop waits
	// between two of them while there is nothing to book.
	upgradeRows  = 5000
	upgradePause = 100 * time.Millisecond
)

// upgrade is how far the values of an older version, which have no checksums, were rewritten. It belongs to the loop.
type upgrade struct {
	done   bool
	bucket int    // of upgradeBuckets
	from   []byte // the next key
}

var upgradeBuckets = [][]byte{bucketDays, bucketBatches}

// upgradeSome gives some of the values of an older version their checksums, and notes in the state when all have one. A process
// that ends meanwhile begins again with the first value, and passes over those that have one. Evidence that an older version
// wrote once for each ambiguous report becomes short.
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
		r.trouble(err)
	default:
		if next.done && !r.upgrade.done && next.bucket > 0 {
			r.options.Log.Info("all of the ledger has checksums now")
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
		if len(v) > 0 && v[0] == sealMark {
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

// shorter reads a value of an older version, and returns what is to be written for it.
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
