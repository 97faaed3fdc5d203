package disk

import (
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// identityOf returns inode, change time and, where the file system keeps it, the time of birth. Where statx is forbidden, as in some
// containers, fstat has the first two.
func identityOf(f *os.File) (Identity, error) {
	var stat unix.Statx_t
	err := retry(func() error {
		return unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_CTIME|unix.STATX_BTIME, &stat)
	})
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
		return fstatIdentity(f)
	case err != nil:
		return Identity{}, &os.PathError{Op: "statx", Path: f.Name(), Err: err}
	}
	id := Identity{Inode: stat.Ino, Changed: nanoseconds(stat.Ctime)}
	if stat.Mask&unix.STATX_BTIME != 0 {
		id.Born = nanoseconds(stat.Btime)
	}
	return id, nil
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }

func fstatIdentity(f *os.File) (Identity, error) {
	info, err := f.Stat()
	if err != nil {
		return Identity{}, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Identity{}, nil
	}
	return Identity{Inode: stat.Ino, Changed: stat.Ctim.Nano()}, nil
}

// bootID is read once: it does not change while the process runs.
var bootID = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return unknownBoot()
	}
	return strings.TrimSpace(string(id))
})

// Boot returns the kernel's boot id.
func (OS) Boot() string { return bootID() }

// datasync makes bytes and size durable, but not the file's times.
func datasync(f *os.File) error {
	return retry(func() error { return syscall.Fdatasync(int(f.Fd())) })
}

// allocate reserves blocks, so that writes inside them do not fail for lack of space. Reserved bytes read as zero.
func allocate(f *os.File, size int64) error {
	err := retry(func() error { return syscall.Fallocate(int(f.Fd()), 0, 0, size) })
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return f.Truncate(size)
	}
	return err
}
