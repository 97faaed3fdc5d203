// Package disk is the interface between the spool and the file system. It has two implementations: the operating system (OS), and
// a simulated disk for tests that loses what was not synced, writes short, runs full and flips bits (package disktest).
//
// Durability, as the spool relies on it: the bytes of a file are durable once Sync returned nil after they were written; a name
// (create, rename, remove) is durable once SyncDir of its directory returned nil. After a failed Sync nothing is known about what
// was written since the last successful one, and the same file must not be synced again: the kernel may have dropped the pages
// and report success.
package disk

import (
	"errors"
	"io"
	"os"
)

var (
	// ErrLocked is wrapped by the error of FS.Lock when another process has the lock.
	ErrLocked = errors.New("locked by another process")
	// ErrReplaced is wrapped by the error of Held.Same when the name is gone or refers to another file.
	ErrReplaced = errors.New("removed or replaced")
)

// FS is a file system. All methods may be called concurrently. Names are paths as for package os, and
// errors are *os.PathError or wrap the errno (ENOSPC, EROFS, EIO), so errors.Is works on them.
type FS interface {
	// MkdirAll creates a directory and its parents with the given permissions.
	MkdirAll(name string, perm os.FileMode) error
	// OpenFile opens a file as os.OpenFile does.
	OpenFile(name string, flag int, perm os.FileMode) (File, error)
	// ReadDir returns the names in a directory, sorted, without directories.
	ReadDir(name string) ([]Entry, error)
	// Rename replaces newName atomically; durable after SyncDir.
	Rename(oldName, newName string) error
	// Remove deletes a file; durable after SyncDir.
	Remove(name string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// Free returns the bytes available to this process and the size of the file system holding name.
	Free(name string) (free, total int64, err error)
	// Lock takes an exclusive lock that ends with the process or with Close. When another process has it, the error wraps
	// ErrLocked. If name is a directory, the directory is locked; otherwise a file is created if necessary.
	Lock(name string) (Held, error)
	// Locked reports whether a process has the lock. It neither takes the lock nor creates the file.
	Locked(name string) (bool, error)
	// Hold opens a file or directory until Close, so that Same can tell whether its name later refers to another one.
	Hold(name string) (Held, error)
	// Boot identifies the boot of the machine: while it is the same, what was written and not synced is still there. It is empty
	// if nothing survives the process without Sync.
	Boot() string
}

// Held is a file or directory that was opened by its name. Its methods may be called concurrently.
type Held interface {
	io.Closer
	// Same returns nil while the name refers to the held file. When the name is gone or refers to another file, the error wraps
	// ErrReplaced; after any other error it is unknown.
	Same() error
	// Identity returns properties that a copy of the file does not share.
	Identity() (Identity, error)
}

// Identity distinguishes a file from a copy of it. The zero value is unknown.
type Identity struct {
	Inode   uint64
	Changed int64 // when the file's contents, name or owner last changed, Unix nanoseconds
	Born    int64 // when it was made, Unix nanoseconds; 0: the file system does not keep it
}

// Entry is one file of a directory.
type Entry struct {
	Name string
	Size int64
}

// File is an open file. ReadAt may be called concurrently with any method; the other methods are for one goroutine.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync returns once what was written is durable (fdatasync).
	Sync() error
	// Truncate sets the size.
	Truncate(size int64) error
	// Allocate reserves space up to size bytes and sets the size; the new bytes read as zero. Where the file system cannot
	// reserve space, it works like Truncate.
	Allocate(size int64) error
	// Size returns the current size.
	Size() (int64, error)
}
