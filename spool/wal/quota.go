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

// freeInterval is how long the answer of the file system about its free space is used.
const freeInterval = 100 * time.Millisecond

// Quota says how much space is left: of the quota, and of the disk above MinFree. All methods may be called concurrently.
type Quota struct {
	fs      disk.FS
	dir     string
	Max     int64 // 0: none
	MinFree int64

	used atomic.Int64 // bytes allocated under dir

	mu    sync.Mutex // guards the fields below
	disk  int64      // free bytes at asked
	asked time.Time
	since int64 // used at asked: what was allocated since then is not in disk
}

// NewQuota returns the quota of a directory: at most so many bytes (0: no limit) below it, and minFree bytes left on its disk.
func NewQuota(files disk.FS, dir string, most, minFree int64) *Quota {
	return &Quota{fs: files, dir: dir, Max: most, MinFree: minFree}
}

// InUse returns the bytes allocated.
func (q *Quota) InUse() int64 { return q.used.Load() }

func (q *Quota) Take(n int64) { q.used.Add(n) }
func (q *Quota) Free(n int64) { q.used.Add(-n) }

// AskAgain makes the next call ask the file system about its free space.
func (q *Quota) AskAgain() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked = time.Time{}
}

// Left returns the bytes that may still be allocated: the smaller of quota and disk. It is negative when a limit is exceeded.
func (q *Quota) Left() int64 {
	left := q.DiskLeft()
	if q.Max > 0 {
		left = min(left, q.Max-q.used.Load())
	}
	return left
}

// DiskLeft returns the free bytes of the disk above MinFree. It asks the file system at most every freeInterval; without an
// answer, the disk counts as empty.
func (q *Quota) DiskLeft() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.asked.IsZero() || time.Since(q.asked) >= freeInterval {
		free, _, err := q.fs.Free(q.dir)
		if err != nil {
			free = math.MaxInt64 / 2
		}
		q.disk, q.asked = free, time.Now()
		q.since = q.used.Load()
	}
	return q.disk - (q.used.Load() - q.since) - q.MinFree
}

// noSpace is the error of a write that fails for lack of space. Delivery frees space, and so can the operator; all other errors
// are disk failures.
type noSpace struct{ error }

// Unwrap returns the cause.
func (e noSpace) Unwrap() error { return e.error }

func IsNoSpace(err error) bool {
	var full noSpace
	return errors.As(err, &full)
}

// Admit returns nil when need bytes can be allocated and reserve bytes are left for delivery.
func (q *Quota) Admit(need, reserve int64) error {
	if left := q.Left(); left < need+reserve {
		if q.Max > 0 && q.Max-q.used.Load() < need+reserve {
			return noSpace{fmt.Errorf("spool: quota of %d bytes is used up (%d in use, %d reserved for delivery)", q.Max, q.used.Load(), reserve)}
		}
		return noSpace{fmt.Errorf("spool: disk has %d bytes left above min_free_bytes of %d (%d reserved for delivery)", left, q.MinFree, reserve)}
	}
	return nil
}
