package spool

import (
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/spool/disk"
)

// failing is a file system whose opening, listing and reading of files returns an error for as long as a test
// says so. What is on the disk below stays as it is.
type failing struct {
	disk.FS

	mu   sync.Mutex // guards the fields below
	on   string     // open, create, read or list, or several of them
	name string     // only on paths that contain this
	err  error      // nil: nothing fails
	skip int        // so many matching operations pass first
	once bool       // and only one of them fails
	flip int        // so many reads return a flipped bit
	hits int
}

// fail makes the operations of files with a name fail; nil ends that.
func (f *failing) fail(on, name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on, f.name, f.err, f.skip, f.once = on, name, err, 0, false
}

func (f *failing) strike(on, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil || !strings.Contains(f.on, on) || !strings.Contains(name, f.name) {
		return nil
	}
	if f.skip--; f.skip >= 0 || f.once && f.skip < -1 {
		return nil
	}
	f.hits++
	return &os.PathError{Op: on, Path: name, Err: f.err}
}

// flips reports whether a read of a file returns a flipped bit.
func (f *failing) flips(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.flip == 0 || !strings.Contains(name, f.name) {
		return false
	}
	f.flip--
	return true
}

func (f *failing) OpenFile(name string, flag int, perm os.FileMode) (disk.File, error) {
	on := "open"
	if flag&os.O_CREATE != 0 {
		on = "create"
	}
	if err := f.strike(on, name); err != nil {
		return nil, err
	}
	file, err := f.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &failingFile{File: file, fs: f, name: name}, nil
}

func (f *failing) ReadDir(name string) ([]disk.Entry, error) {
	if err := f.strike("list", name); err != nil {
		return nil, err
	}
	return f.FS.ReadDir(name)
}

type failingFile struct {
	disk.File
	fs   *failing
	name string
}

func (f *failingFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.strike("read", f.name); err != nil {
		return 0, err
	}
	n, err := f.File.ReadAt(p, off)
	if n > 0 && f.fs.flips(f.name) {
		p[n/2] ^= 4
	}
	return n, err
}

// failAfter lets so many reads pass, and then fails them.
func (f *failing) failAfter(n int) {
	f.fail("", "", nil)
	inner := f.FS
	if c, ok := inner.(*counting); ok {
		inner = c.FS
	}
	f.FS = &counting{FS: inner, left: n}
}

// counting lets some opens of segments pass, and fails the rest.
type counting struct {
	disk.FS
	left int
}

func (c *counting) OpenFile(name string, flag int, perm os.FileMode) (disk.File, error) {
	if strings.HasSuffix(name, wal.SegmentSuffix) && flag == os.O_RDONLY {
		if c.left--; c.left < 0 && c.left > -2 {
			return nil, &os.PathError{Op: "open", Path: name, Err: syscall.EIO}
		}
	}
	return c.FS.OpenFile(name, flag, perm)
}
