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

// ReadOnlyFS is a file system to look through: what is behind it cannot be touched. Recovery run over it finds
// what it would find, and changes nothing: removing and renaming seem to work, making and writing do not.
//
// A pinned directory stays as it was when it was first looked at, with what came since, however much is
// removed meanwhile: its files are held open. All methods may be called concurrently.
type ReadOnlyFS struct {
	disk.FS
	ctx    context.Context // ends all reading
	pinned []string        // directories

	mu    sync.Mutex // guards files
	files map[string]disk.File
}

// NewReadOnlyFS returns a view of a file system. Reading ends with ctx; the directories named are pinned.
func NewReadOnlyFS(ctx context.Context, behind disk.FS, pinned ...string) *ReadOnlyFS {
	return &ReadOnlyFS{FS: behind, ctx: ctx, pinned: pinned, files: make(map[string]disk.File)}
}

// Close gives the pinned files up.
func (g *ReadOnlyFS) Close() (err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, file := range g.files {
		err = errors.Join(err, file.Close())
		delete(g.files, name)
	}
	return err
}

func readOnly(op, name string) error { return &os.PathError{Op: op, Path: name, Err: syscall.EROFS} }

// MkdirAll implements disk.FS.
func (g *ReadOnlyFS) MkdirAll(string, os.FileMode) error { return nil }

// Remove implements disk.FS.
func (g *ReadOnlyFS) Remove(string) error { return nil }

// SyncDir implements disk.FS.
func (g *ReadOnlyFS) SyncDir(string) error { return nil }

// Rename implements disk.FS.
func (g *ReadOnlyFS) Rename(oldName, _ string) error { return readOnly("rename", oldName) }

// OpenFile implements disk.FS.
func (g *ReadOnlyFS) OpenFile(name string, flag int, _ os.FileMode) (disk.File, error) {
	if flag&os.O_CREATE != 0 {
		return nil, readOnly("open", name)
	}
	if err := g.ctx.Err(); err != nil {
		return nil, err
	}
	g.mu.Lock()
	file, held := g.files[name]
	g.mu.Unlock()
	if held {
		return &readOnlyFile{File: file, ctx: g.ctx, name: name, held: true}, nil
	}
	file, err := g.FS.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	return &readOnlyFile{File: file, ctx: g.ctx, name: name}, nil
}

// ReadDir implements disk.FS. A directory that is not there is empty.
func (g *ReadOnlyFS) ReadDir(name string) ([]disk.Entry, error) {
	if err := g.ctx.Err(); err != nil {
		return nil, err
	}
	if slices.Contains(g.pinned, name) {
		return g.pin(name)
	}
	entries, err := g.FS.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// pinTries is how often a directory is listed until nothing goes between listing and opening.
const pinTries = 10

// pin opens every segment of a directory, so that all that were there at one moment stay.
func (g *ReadOnlyFS) pin(dir string) (entries []disk.Entry, err error) {
	for range pinTries {
		entries, err = g.FS.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err == nil {
			err = g.holdAll(dir, entries)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return g.withHeld(dir, entries)
}

// holdAll opens what is not open yet.
func (g *ReadOnlyFS) holdAll(dir string, entries []disk.Entry) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range entries {
		name := filepath.Join(dir, e.Name)
		if _, _, segment := ParseSegmentName(e.Name); !segment || g.files[name] != nil {
			continue
		}
		file, err := g.FS.OpenFile(name, os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		g.files[name] = file
	}
	return nil
}

// withHeld adds the files that are held and have lost their name.
func (g *ReadOnlyFS) withHeld(dir string, entries []disk.Entry) ([]disk.Entry, error) {
	listed := make(map[string]bool, len(entries))
	for _, e := range entries {
		listed[e.Name] = true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, file := range g.files {
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

// readOnlyFile is a file seen through the ReadOnlyFS.
type readOnlyFile struct {
	disk.File
	ctx  context.Context
	name string
	held bool // closed with the ReadOnlyFS
}

// ReadAt implements io.ReaderAt. A daemon gives back what it reserved of a segment, which is read as zeros, when it goes
// on to the next one: a segment that is shorter than when it was listed goes on with zeros.
func (p *readOnlyFile) ReadAt(data []byte, off int64) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.File.ReadAt(data, off)
	if _, _, segment := ParseSegmentName(filepath.Base(p.name)); segment && errors.Is(err, io.EOF) {
		clear(data[n:])
		return len(data), nil
	}
	return n, err
}

// WriteAt implements io.WriterAt.
func (p *readOnlyFile) WriteAt([]byte, int64) (int, error) { return 0, syscall.EROFS }

// Sync implements disk.File.
func (p *readOnlyFile) Sync() error { return nil }

// Truncate implements disk.File.
func (p *readOnlyFile) Truncate(int64) error { return syscall.EROFS }

// Allocate implements disk.File.
func (p *readOnlyFile) Allocate(int64) error { return syscall.EROFS }

// Close implements io.Closer.
func (p *readOnlyFile) Close() error {
	if p.held {
		return nil
	}
	return p.File.Close()
}
