package disk

import (
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
)

// identityOf reads what stat says.
func identityOf(info os.FileInfo) Identity {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Identity{}
	}
	return Identity{Inode: stat.Ino, Changed: stat.Ctim.Nano()}
}

// bootID is read once: it does not change while a process lives.
var bootID = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return unknownBoot()
	}
	return strings.TrimSpace(string(id))
})

// Boot returns the kernel's boot id.
func (OS) Boot() string { return bootID() }

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
