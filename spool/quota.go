package spool

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/spool/disk"
)

// freeInterval is how old the answer of the file system about its free space may be.
const freeInterval = 100 * time.Millisecond

// room knows how much space is left: of the quota, and of the disk above the watermark. All methods may
// be called concurrently.
type diskQuota struct {
	fs      disk.FS
	dir     string
	most    int64 // 0: none
	minFree int64

	used atomic.Int64 // bytes allocated under dir

	mu    sync.Mutex // guards the fields below
	disk  int64      // free bytes at asked
	asked time.Time
	since int64 // used at asked: what we took since then is gone from disk
}

func (r *diskQuota) take(n int64) { r.used.Add(n) }
func (r *diskQuota) free(n int64) { r.used.Add(-n) }

// left returns the bytes that may still be allocated: the smaller of quota and disk. It is negative
// when a limit has been passed.
func (r *diskQuota) left() int64 {
	left := r.diskLeft()
	if r.most > 0 {
		left = min(left, r.most-r.used.Load())
	}
	return left
}

// diskLeft asks the file system now and then; one that cannot say is taken to have room.
func (r *diskQuota) diskLeft() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked.IsZero() || time.Since(r.asked) >= freeInterval {
		free, _, err := r.fs.Free(r.dir)
		if err != nil {
			free = math.MaxInt64 / 2
		}
		r.disk, r.asked = free, time.Now()
		r.since = r.used.Load()
	}
	return r.disk - (r.used.Load() - r.since) - r.minFree
}

// noSpace is the error of what would fit if there were more room. Delivering makes some, and so does whoever looks after
// the disk; every other error is trouble with the disk itself.
type noSpace struct{ error }

// Unwrap returns the cause.
func (e noSpace) Unwrap() error { return e.error }

func isNoSpace(err error) bool {
	var full noSpace
	return errors.As(err, &full)
}

// admit returns nil when need bytes can be allocated and as much as reserve is left for draining.
func (r *diskQuota) admit(need, reserve int64) error {
	if left := r.left(); left < need+reserve {
		if r.most > 0 && r.most-r.used.Load() < need+reserve {
			return noSpace{fmt.Errorf("spool: quota of %d bytes is used up (%d in use, %d kept for draining)", r.most, r.used.Load(), reserve)}
		}
		return noSpace{fmt.Errorf("spool: disk has %d bytes left above the watermark of %d (%d kept for draining)", left, r.minFree, reserve)}
	}
	return nil
}
