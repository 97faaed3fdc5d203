package wal

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

// Quota knows how much space is left: of the quota, and of the disk above the watermark. All methods may
// be called concurrently.
type Quota struct {
	fs      disk.FS
	dir     string
	Max     int64 // 0: none
	MinFree int64

	used atomic.Int64 // bytes allocated under dir

	mu    sync.Mutex // guards the fields below
	disk  int64      // free bytes at asked
	asked time.Time
	since int64 // used at asked: what we took since then is gone from disk
}

// NewQuota returns the quota of a directory: most bytes (0: no bound) below it, and minFree bytes left on its disk.
func NewQuota(files disk.FS, dir string, most, minFree int64) *Quota {
	return &Quota{fs: files, dir: dir, Max: most, MinFree: minFree}
}

// InUse returns the bytes allocated.
func (r *Quota) InUse() int64 { return r.used.Load() }

func (r *Quota) Take(n int64) { r.used.Add(n) }
func (r *Quota) Free(n int64) { r.used.Add(-n) }

// AskAgain forgets what the file system said about its free space: the next question asks it.
func (r *Quota) AskAgain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = time.Time{}
}

// Left returns the bytes that may still be allocated: the smaller of quota and disk. It is negative
// when a limit has been passed.
func (r *Quota) Left() int64 {
	left := r.DiskLeft()
	if r.Max > 0 {
		left = min(left, r.Max-r.used.Load())
	}
	return left
}

// DiskLeft asks the file system now and then; one that cannot say is taken to have room.
func (r *Quota) DiskLeft() int64 {
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
	return r.disk - (r.used.Load() - r.since) - r.MinFree
}

// noSpace is the error of what would fit if there were more room. Delivering makes some, and so does whoever looks after
// the disk; every other error is trouble with the disk itself.
type noSpace struct{ error }

// Unwrap returns the cause.
func (e noSpace) Unwrap() error { return e.error }

func IsNoSpace(err error) bool {
	var full noSpace
	return errors.As(err, &full)
}

// Admit returns nil when need bytes can be allocated and as much as reserve is left for draining.
func (r *Quota) Admit(need, reserve int64) error {
	if left := r.Left(); left < need+reserve {
		if r.Max > 0 && r.Max-r.used.Load() < need+reserve {
			return noSpace{fmt.Errorf("spool: quota of %d bytes is used up (%d in use, %d kept for draining)", r.Max, r.used.Load(), reserve)}
		}
		return noSpace{fmt.Errorf("spool: disk has %d bytes left above the watermark of %d (%d kept for draining)", left, r.MinFree, reserve)}
	}
	return nil
}
