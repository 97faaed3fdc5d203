package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/spool/disk"
)

// A process that only checks whether the directory is in use holds the lock for microseconds.
const (
	lockTries = 3
	lockPause = 10 * time.Millisecond
)

// lockDir locks the directory for this process, and writes the process id to the lock file for the error message of other
// processes. The directory itself is locked as well as the file in it, so that a second process cannot start after the file was
// removed. Where the file system cannot lock directories, only the file is locked.
func lockDir(fs disk.FS, dir string) (locks []disk.Held, err error) {
	name := filepath.Join(dir, "lock")
	defer func() {
		if err != nil {
			err = errors.Join(err, wal.NewPresence(locks).Close())
		}
	}()
	for _, target := range []string{dir, name} {
		lock, err := lockWithRetry(fs, target)
		switch {
		case errors.Is(err, disk.ErrLocked):
			return locks, fmt.Errorf("spool: data directory %s is in use by process %s: %w", dir, lockHolder(fs, name), err)
		case err != nil && target == dir:
			continue
		case err != nil:
			return locks, fmt.Errorf("spool: data directory: %w", err)
		}
		locks = append(locks, lock)
	}
	for _, lock := range locks { // it may have been removed between open and lock
		if err := lock.Same(); err != nil {
			return locks, fmt.Errorf("spool: data directory: %w", err)
		}
	}
	if f, err := fs.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
		_ = f.Truncate(0) // the id is only informative: the lock holds without it
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		_ = f.Close()
	}
	return locks, nil
}

// lockWithRetry retries while another process checks the lock.
func lockWithRetry(fs disk.FS, name string) (disk.Held, error) {
	lock, err := fs.Lock(name)
	for tries := 1; errors.Is(err, disk.ErrLocked) && tries < lockTries; tries++ {
		time.Sleep(lockPause)
		lock, err = fs.Lock(name)
	}
	return lock, err
}

// lockHolder reads the process id of the holder, or returns "(unknown)".
func lockHolder(fs disk.FS, name string) string {
	f, err := fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return "(unknown)"
	}
	defer func() { _ = f.Close() }()
	buf := make([]byte, 20)
	n, _ := f.ReadAt(buf, 0)
	if pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n]))); err == nil {
		return strconv.Itoa(pid)
	}
	return "(unknown)"
}
