package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// OS is the operating system's file system. Its zero value is ready for use.
type OS struct{}

// MkdirAll creates a directory and its parents. An existing directory loses the permissions beyond perm, if the process may
// change them.
func (OS) MkdirAll(name string, perm os.FileMode) error {
	if err := os.MkdirAll(name, perm); err != nil {
		return err
	}
	if info, err := os.Stat(name); err == nil && info.Mode().Perm()&^perm != 0 {
		_ = os.Chmod(name, perm)
	}
	return nil
}

// OpenFile opens a file.
func (OS) OpenFile(name string, flag int, perm os.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm) // #nosec G304 -- the caller names files of its own directory
	if err != nil {
		return nil, err
	}
	return &file{f}, nil
}

// ReadDir returns the regular files in a directory, sorted by name.
func (OS) ReadDir(name string) ([]Entry, error) {
	found, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(found))
	for _, e := range found {
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, Entry{Name: e.Name(), Size: info.Size()})
	}
	return entries, nil
}

// Rename replaces newName atomically.
func (OS) Rename(oldName, newName string) error { return os.Rename(oldName, newName) }

// Remove deletes a file.
func (OS) Remove(name string) error { return os.Remove(name) }

// SyncDir opens the directory and fsyncs it.
func (OS) SyncDir(name string) error {
	d, err := os.Open(filepath.Clean(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Lock opens the file or directory, creating the file if necessary, and takes an advisory lock on it. The lock ends with the
// process, also after a kill.
func (OS) Lock(name string) (Held, error) {
	f, err := os.OpenFile(filepath.Clean(name), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, syscall.EISDIR) {
		f, err = os.Open(filepath.Clean(name))
	}
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return &held{f}, nil
}

// Hold opens a file or directory: while it is open its inode is not reused.
func (OS) Hold(name string) (Held, error) {
	f, err := os.Open(filepath.Clean(name))
	if err != nil {
		return nil, err
	}
	return &held{f}, nil
}

// held is an open file or directory.
type held struct{ *os.File }

// Same compares the inode of the open file with the one that the name refers to.
func (h *held) Same() error {
	now, err := os.Stat(h.Name())
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%s: %w: no such file or directory", h.Name(), ErrReplaced)
	}
	if err != nil {
		return err
	}
	opened, err := h.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(now, opened) {
		return fmt.Errorf("%s: %w: the name refers to another file now", h.Name(), ErrReplaced)
	}
	return nil
}

// Identity asks the system about the open file.
func (h *held) Identity() (Identity, error) { return identityOf(h.File) }

// Locked takes a shared lock and releases it immediately: a process that wants the lock at that moment may find it taken, and has
// to retry.
func (OS) Locked(name string) (bool, error) {
	f, err := os.Open(filepath.Clean(name))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	err = lockShared(f)
	if errors.Is(err, ErrLocked) {
		return true, nil
	}
	return false, err
}

// file is an *os.File whose Sync is fdatasync, if the system has it.
type file struct{ *os.File }

func (f *file) Sync() error {
	if err := datasync(f.File); err != nil {
		return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}

func (f *file) Allocate(size int64) error {
	if err := allocate(f.File, size); err != nil {
		return &os.PathError{Op: "fallocate", Path: f.Name(), Err: err}
	}
	return nil
}

func (f *file) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
