package wal

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
	QuarantineDir   = "quarantine"
	quarantineChunk = 1 << 20

	unfinishedSuffix = ".tmp"
)

// Quarantine keeps copies of damaged ranges: damaged data is never deleted. All methods may be called concurrently.
type Quarantine struct {
	fs      disk.FS
	root    string
	quota   *Quota
	Bytes   atomic.Int64
	copying sync.Mutex // held while a range is copied: two readers may find the same damage
}

// NewQuarantine returns the quarantine of a data directory. Its files count into the quota.
func NewQuarantine(files disk.FS, root string, quota *Quota) *Quarantine {
	return &Quarantine{fs: files, root: root, quota: quota}
}

func (q *Quarantine) path(name string) string { return filepath.Join(q.root, QuarantineDir, name) }

// keepRange copies a range of a segment to a file that is named by the range's place. It returns once that is durable: until then
// no reader may move past the range (I17). If every start finds the same damage, that is one file.
func (q *Quarantine) keepRange(l *Log, s *Segment, from, to int64) error {
	name := fmt.Sprintf("%s-%s-%d.bin", l.Dir, strings.TrimSuffix(s.Name(), SegmentSuffix), from)
	q.copying.Lock()
	defer q.copying.Unlock()
	err := q.keep(name, l, s, from, to)
	if err == nil {
		err = q.fs.SyncDir(filepath.Join(q.root, QuarantineDir))
	}
	if err != nil {
		return fmt.Errorf("%d damaged bytes of %s cannot be copied to %s/: %w", to-from, filepath.Join(l.Dir, s.Name()), QuarantineDir, err)
	}
	return nil
}

// keep writes the copy under a temporary name first: a file with the final name is complete.
func (q *Quarantine) keep(name string, l *Log, s *Segment, from, to int64) error {
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
	temporary := q.path(name + unfinishedSuffix)
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

func (q *Quarantine) add(n int64) {
	q.Bytes.Add(n)
	q.quota.Take(n)
}

// copyRange copies bytes that were read before. If they cannot be read now, it fails; it does not fill in zeros.
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

// KeepRange copies a range of a segment to quarantine/. It returns once that is durable.
func (l *Log) KeepRange(s *Segment, from, to int64) error {
	if l.ReadOnly || to <= from {
		return nil
	}
	return l.Quarantine.keepRange(l, s, from, to)
}

// keepFile moves a whole file to quarantine/, to a name relative to the data directory. It returns once that is durable.
func (q *Quarantine) keepFile(l *Log, s *Segment, kept string) error {
	err := q.fs.Rename(l.path(s.Name()), filepath.Join(q.root, kept))
	if err == nil {
		err = errors.Join(q.fs.SyncDir(filepath.Join(q.root, QuarantineDir)), l.syncDir())
	}
	if err != nil {
		return fmt.Errorf("%s, written by another version, cannot be moved to %s/: %w", s.Name(), QuarantineDir, err)
	}
	q.add(s.Size)
	return nil
}

// has reports whether a file of that size is in quarantine.
func (q *Quarantine) has(name string, size int64) (bool, error) {
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

// Measure counts the existing files, and removes unfinished ones.
func (q *Quarantine) Measure() error {
	entries, err := q.fs.ReadDir(filepath.Join(q.root, QuarantineDir))
	for _, e := range entries {
		if strings.HasSuffix(e.Name, unfinishedSuffix) {
			_ = q.fs.Remove(q.path(e.Name))
			continue
		}
		q.add(e.Size)
	}
	return err
}
