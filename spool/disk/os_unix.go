//go:build unix

package disk

import (
	"crypto/rand"
	"errors"
	"math"
	"os"
	"syscall"
)

// lock takes an exclusive flock without waiting.
func lock(f *os.File) error { return flock(f, syscall.LOCK_EX) }

// lockShared takes a shared flock without waiting.
func lockShared(f *os.File) error { return flock(f, syscall.LOCK_SH) }

func flock(f *os.File, how int) error {
	err := retry(func() error { return syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB) })
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// unknownBoot returns a value that no other process gets.
func unknownBoot() string { return "unknown-" + rand.Text() }

// Free calls statfs; space reserved for root does not count as free.
func (OS) Free(name string) (free, total int64, err error) {
	var s syscall.Statfs_t
	if err := retry(func() error { return syscall.Statfs(name, &s) }); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: name, Err: err}
	}
	return bytes(uint64(s.Bavail), int64(s.Bsize)), bytes(s.Blocks, int64(s.Bsize)), nil
}

// bytes multiplies without overflow: a network file system may return any number.
func bytes(blocks uint64, size int64) int64 {
	if size <= 0 || blocks > uint64(math.MaxInt64)/uint64(size) {
		return math.MaxInt64
	}
	return int64(blocks) * size
}

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
