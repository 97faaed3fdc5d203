package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/reporterd/reporterd/spool/disk"
)

// Somebody who only looks whether the directory is in use holds the lock for microseconds.
const (
	lockTries = 3
	lockPause = 10 * time.Millisecond
)

// lockDir takes the directory for this process, and leaves the process id in the file for whoever finds
// it locked.
func lockDir(fs disk.FS, dir string) (io.Closer, error) {
	name := filepath.Join(dir, "lock")
	lock, err := fs.Lock(name)
	for tries := 1; errors.Is(err, disk.ErrLocked) && tries < lockTries; tries++ {
		time.Sleep(lockPause)
		lock, err = fs.Lock(name)
	}
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("spool: data directory %s is in use by process %s: %w", dir, lockHolder(fs, name), err)
	}
	if err != nil {
		return nil, fmt.Errorf("spool: data directory: %w", err)
	}
	if f, err := fs.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
		_ = f.Truncate(0) // a courtesy: the lock holds without it
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		_ = f.Close()
	}
	return lock, nil
}

// lockHolder reads the process id, as far as it is to be had.
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
