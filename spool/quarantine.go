package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/reporterd/reporterd/spool/disk"
)

const (
	quarantineDir   = "quarantine"
	quarantineChunk = 1 << 20
)

// quarantine keeps what could not be read: nothing is deleted for being damaged. All methods may be called
// concurrently.
type quarantine struct {
	fs      disk.FS
	root    string
	quota   *diskQuota
	bytes   atomic.Int64
	looking bool       // nothing is set aside: this only looks at a directory
	keeping sync.Mutex // held while one range is copied: two readers may come upon the same damage
}

func (q *quarantine) path(name string) string { return filepath.Join(q.root, quarantineDir, name) }

// keepRange copies a range of a segment to a file that says where it comes from. It returns once that is durable: until
// then nothing may move past the range (I17). Finding the same damage at every start makes one file of it.
func (q *quarantine) keepRange(l *segmentLog, s *segment, from, to int64) error {
	name := fmt.Sprintf("%s-%s-%d.bin", l.dir, strings.TrimSuffix(s.name(), segmentSuffix), from)
	if q.looking || to <= from {
		return nil
	}
	q.keeping.Lock()
	defer q.keeping.Unlock()
	err := q.keep(name, l, s, from, to)
	if err == nil {
		err = q.fs.SyncDir(filepath.Join(q.root, quarantineDir))
	}
	if err != nil {
		return fmt.Errorf("%d damaged bytes of %s cannot be set aside in %s/: %w", to-from, filepath.Join(l.dir, s.name()), quarantineDir, err)
	}
	return nil
}

// keep writes the copy under another name first: a file with the right one is whole.
func (q *quarantine) keep(name string, l *segmentLog, s *segment, from, to int64) error {
	switch kept, err := q.has(name, to-from); {
	case err != nil:
		return err
	case kept:
		return nil
	}
	source, err := l.openSegment(s)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // opened for reading
	temporary := q.path(name + unfinished)
	target, err := q.fs.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = copyRange(target, source, from, to)
	if err = errors.Join(err, target.Sync(), target.Close()); err == nil {
		err = q.fs.Rename(temporary, q.path(name))
	}
	if err != nil {
		_ = q.fs.Remove(temporary)
		return err
	}
	q.add(to - from)
	return nil
}

func (q *quarantine) add(n int64) {
	q.bytes.Add(n)
	q.quota.take(n)
}

// copyRange copies bytes that were read before. Where that does not work now, nothing is made up for them.
func copyRange(target, source disk.File, from, to int64) error {
	buf := make([]byte, min(quarantineChunk, to-from))
	for at := from; at < to; at += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), to-at)]
		if err := readFull(source, buf, at); err != nil {
			return err
		}
		if _, err := target.WriteAt(buf, at-from); err != nil {
			return err
		}
	}
	return nil
}

// keepFile moves a whole file here, under a name relative to the data directory. It returns once that is durable.
func (q *quarantine) keepFile(l *segmentLog, s *segment, kept string) error {
	if q.looking {
		return nil
	}
	err := q.fs.Rename(l.path(s.name()), filepath.Join(q.root, kept))
	if err == nil {
		err = errors.Join(q.fs.SyncDir(filepath.Join(q.root, quarantineDir)), l.syncDir())
	}
	if err != nil {
		return fmt.Errorf("%s, written by another version, cannot be moved to %s/: %w", s.name(), quarantineDir, err)
	}
	q.add(s.size)
	return nil
}

// has reports whether a file of that size is here.
func (q *quarantine) has(name string, size int64) (bool, error) {
	f, err := q.fs.OpenFile(q.path(name), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n, err := f.Size()
	return n == size, errors.Join(err, f.Close())
}

// measure counts what is here from before, and removes what was not finished.
func (q *quarantine) measure() error {
	entries, err := q.fs.ReadDir(filepath.Join(q.root, quarantineDir))
	for _, e := range entries {
		if strings.HasSuffix(e.Name, unfinished) {
			_ = q.fs.Remove(q.path(e.Name))
			continue
		}
		q.add(e.Size)
	}
	return err
}
