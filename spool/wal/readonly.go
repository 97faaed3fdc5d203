package wal

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/reporterd/reporterd/spool/disk"
)

// ReadOnlyFS is a read-only view of a file system. Recovery run over it finds what a start would find, and changes nothing:
// removing and syncing succeed without effect, creating, renaming and writing fail.
//
// A pinned directory keeps the files that it had when it was first listed, even if they are removed later: they are held open.
// New files are listed as well. All methods may be called concurrently.
type ReadOnlyFS struct {
	disk.FS
	ctx    context.Context // ends all reading
	pinned []string        // directories

	mu    sync.Mutex // guards files
	files map[string]disk.File
}

// NewReadOnlyFS returns a view of a file system. All reading ends with ctx; the named directories are pinned.
func NewReadOnlyFS(ctx context.Context, behind disk.FS, pinned ...string) *ReadOnlyFS {
	return &ReadOnlyFS{FS: behind, ctx: ctx, pinned: pinned, files: make(map[string]disk.File)}
}

// Close closes the pinned files.
func (r *ReadOnlyFS) Close() (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, file := range r.files {
		err = errors.Join(err, file.Close())
		delete(r.files, name)
	}
	return err
}

func readOnly(op, name string) error { return &os.PathError{Op: op, Path: name, Err: syscall.EROFS} }

// MkdirAll implements disk.FS.
func (r *ReadOnlyFS) MkdirAll(string, os.FileMode) error { return nil }

// Remove implements disk.FS.
func (r *ReadOnlyFS) Remove(string) error { return nil }

// SyncDir implements disk.FS.
func (r *ReadOnlyFS) SyncDir(string) error { return nil }

// Rename implements disk.FS.
func (r *ReadOnlyFS) Rename(oldName, _ string) error { return readOnly("rename", oldName) }

// OpenFile implements disk.FS.
func (r *ReadOnlyFS) OpenFile(name string, flag int, _ os.FileMode) (disk.File, error) {
	if flag&os.O_CREATE != 0 {
		return nil, readOnly("open", name)
	}
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	file, held := r.files[name]
	r.mu.Unlock()
	if held {
		return &readOnlyFile{File: file, ctx: r.ctx, name: name, held: true}, nil
	}
	file, err := r.FS.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	return &readOnlyFile{File: file, ctx: r.ctx, name: name}, nil
}

// ReadDir implements disk.FS. A missing directory is empty.
func (r *ReadOnlyFS) ReadDir(name string) ([]disk.Entry, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	if slices.Contains(r.pinned, name) {
		return r.pin(name)
	}
	entries, err := r.FS.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// pinTries is how often a directory is listed until no file is removed between listing and opening.
const pinTries = 10

// pin opens all segments of a directory, so that those that existed at one moment stay readable.
func (r *ReadOnlyFS) pin(dir string) (entries []disk.Entry, err error) {
	for range pinTries {
		entries, err = r.FS.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err == nil {
			err = r.holdAll(dir, entries)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return r.withHeld(dir, entries)
}

// holdAll opens the segments that are not open yet.
func (r *ReadOnlyFS) holdAll(dir string, entries []disk.Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range entries {
		name := filepath.Join(dir, e.Name)
		if _, _, segment := ParseSegmentName(e.Name); !segment || r.files[name] != nil {
			continue
		}
		file, err := r.FS.OpenFile(name, os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		r.files[name] = file
	}
	return nil
}

// withHeld adds the held files that have been removed from the directory.
func (r *ReadOnlyFS) withHeld(dir string, entries []disk.Entry) ([]disk.Entry, error) {
	listed := make(map[string]bool, len(entries))
	for _, e := range entries {
		listed[e.Name] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, file := range r.files {
		if base := filepath.Base(name); filepath.Dir(name) == filepath.Clean(dir) && !listed[base] {
			size, err := file.Size()
			if err != nil {
				return nil, err
			}
			entries = append(entries, disk.Entry{Name: base, Size: size})
		}
	}
	slices.SortFunc(entries, func(a, b disk.Entry) int { return cmp.Compare(a.Name, b.Name) })
	return entries, nil
}

// readOnlyFile is a file of a ReadOnlyFS.
type readOnlyFile struct {
	disk.File
	ctx  context.Context
	name string
	held bool // closed with the ReadOnlyFS
}

// ReadAt implements io.ReaderAt. When a daemon continues in the next segment, it truncates the reserved rest of this one, which
// reads as zeros: a segment that is shorter than when it was listed is filled with zeros.
func (f *readOnlyFile) ReadAt(data []byte, off int64) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := f.File.ReadAt(data, off)
	if _, _, segment := ParseSegmentName(filepath.Base(f.name)); segment && errors.Is(err, io.EOF) {
		clear(data[n:])
		return len(data), nil
	}
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *readOnlyFile) WriteAt([]byte, int64) (int, error) { return 0, syscall.EROFS }

// Sync implements disk.File.
func (f *readOnlyFile) Sync() error { return nil }

// Truncate implements disk.File.
func (f *readOnlyFile) Truncate(int64) error { return syscall.EROFS }

// Allocate implements disk.File.
func (f *readOnlyFile) Allocate(int64) error { return syscall.EROFS }

// Close implements io.Closer.
func (f *readOnlyFile) Close() error {
	if f.held {
		return nil
	}
	return f.File.Close()
}
