package ledger

import (
	"context"
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"
)

// pruneRows limits how many rows one transaction deletes, so that booking does not wait long.
const pruneRows = 20_000

// evidencePart is the fraction (1/8) of the file that evidence may take.
const evidencePart = 8

// measure updates the file's size and the first day in the statistics.
func (l *Ledger) measure() {
	_ = l.view(func(tx *bbolt.Tx) error {
		free := l.db.Stats()
		used := tx.Size() - int64(free.FreePageN+free.PendingPageN)*int64(l.db.Info().PageSize)
		earliest := time.Time{}
		if k, _ := tx.Bucket(bucketDays).Cursor().First(); len(k) >= 4 {
			earliest = dayTime(binary.BigEndian.Uint32(k))
		}
		l.updateStats(func(s *Stats) { s.Bytes, s.Earliest = max(0, used), earliest })
		return nil
	})
}

func dayTime(day uint32) time.Time { return time.Unix(int64(day)*86400, 0).UTC() }

// prune deletes rows older than Keep, and the oldest days while the file is too large.
func (r *run) prune(ctx context.Context) {
	now := time.Now()
	r.due = now.Add(pruneEvery)
	before := uint32(max(0, now.Add(-r.options.Keep).Unix()/86400))
	r.days.removeBefore(before)
	r.drop(ctx, bucketDays, binary.BigEndian.AppendUint32(nil, before))
	r.dropEvidence(ctx, batchKey(now.Add(-keepBatches).Unix(), ""))
	today := uint32(now.Unix() / 86400)
	for s := r.Stats(); r.options.MaxBytes > 0 && s.Bytes > r.options.MaxBytes && !s.Earliest.IsZero(); {
		day := uint32(s.Earliest.Unix() / 86400)
		if day >= today {
			return
		}
		r.days.removeBefore(day + 1)
		if !r.drop(ctx, bucketDays, binary.BigEndian.AppendUint32(nil, day+1)) {
			return
		}
		r.options.Log.Warn("deleted the oldest day of the ledger: ledger.db exceeds max_bytes", zap.Time("day", s.Earliest), zap.Int64("bytes", s.Bytes), zap.Int64("max_bytes", r.options.MaxBytes))
		r.updateStats(func(s *Stats) { s.GivenUp++ })
		s = r.Stats()
	}
}

// drop deletes the keys before a key, until ctx ends. It reports whether all are deleted.
func (r *run) drop(ctx context.Context, bucket, before []byte) bool {
	for ctx.Err() == nil {
		n := 0
		err := r.update(func(tx *bbolt.Tx) error {
			c := tx.Bucket(bucket).Cursor()
			for k, _ := c.First(); k != nil && string(k) < string(before) && n < pruneRows; k, _ = c.First() {
				if err := c.Delete(); err != nil {
					return err
				}
				n++
			}
			return nil
		})
		if err != nil {
			r.logFailure(err)
			return false
		}
		r.measure()
		if n < pruneRows {
			return true
		}
	}
	return false
}

// dropEvidence deletes evidence of batches that were sealed before a key, and the oldest evidence while it takes too much space.
func (r *run) dropEvidence(ctx context.Context, before []byte) {
	most := r.options.MaxBytes / evidencePart
	for ctx.Err() == nil {
		n, given := 0, time.Time{}
		err := r.update(func(tx *bbolt.Tx) error {
			c, size, freed := tx.Bucket(bucketBatches).Cursor(), evidence(tx), int64(0)
			for k, v := c.First(); k != nil && n < pruneRows; k, v = c.First() {
				crowded := most > 0 && size-freed > most
				if string(k) >= string(before) && !crowded {
					break
				}
				if string(k) >= string(before) {
					given = time.Unix(int64(binary.BigEndian.Uint32(k))*3600, 0).UTC()
				}
				freed += int64(len(v))
				if err := c.Delete(); err != nil {
					return err
				}
				n++
			}
			return addEvidence(tx, -freed)
		})
		if err != nil {
			r.logFailure(err)
			return
		}
		r.measure()
		if !given.IsZero() {
			r.options.Log.Info("deleted evidence of batches early: it exceeds its part of max_bytes", zap.Time("up_to", given), zap.Int64("max_bytes", most))
		}
		if n < pruneRows {
			return
		}
	}
}
