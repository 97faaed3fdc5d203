package disk

import (
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
)

// identityOf returns inode and change time.
func identityOf(info os.FileInfo) Identity {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Identity{}
	}
	return Identity{Inode: stat.Ino, Changed: stat.Ctim.Nano()}
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
