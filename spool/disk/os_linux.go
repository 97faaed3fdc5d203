package disk

import (
	"errors"
	"os"
	"syscall"
)

// datasync makes bytes and size durable, without the times.
func datasync(f *os.File) error {
	return retry(func() error { return syscall.Fdatasync(int(f.Fd())) })
}

// allocate reserves blocks, so that writing inside them never runs out of space. Reserved bytes read as
// zero.
func allocate(f *os.File, size int64) error {
	err := retry(func() error { return syscall.Fallocate(int(f.Fd()), 0, 0, size) })
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return f.Truncate(size)
	}
	return err
}
