package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
	fs    disk.FS
	root  string
	room  *room
	bytes atomic.Int64
}

func (q *quarantine) path(name string) string { return filepath.Join(q.root, quarantineDir, name) }

// keepRange copies a range of a segment to a file that says where it comes from. Finding the same damage
// at every start makes one file of it. Sectors that cannot be read are left as zeros. When there is no
// room for the copy, the range stays only where it is, until its segment goes.
func (q *quarantine) keepRange(l *segmentLog, s *segment, from, to int64) {
	name := fmt.Sprintf("%s-%s-%d.bin", l.dir, strings.TrimSuffix(s.name(), segmentSuffix), from)
	if to <= from || q.has(name, to-from) {
		return
	}
	source, err := q.fs.OpenFile(l.path(s.name()), os.O_RDONLY, 0)
	if err != nil {
		return
	}
	defer func() { _ = source.Close() }()
	target, err := q.fs.OpenFile(q.path(name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return
	}
	err = copyRange(target, source, from, to)
	if err := errors.Join(err, target.Sync(), target.Close(), q.fs.SyncDir(filepath.Join(q.root, quarantineDir))); err != nil {
		_ = q.fs.Remove(q.path(name))
		return
	}
	q.add(to - from)
}

func (q *quarantine) add(n int64) {
	q.bytes.Add(n)
	q.room.take(n)
}

func copyRange(target, source disk.File, from, to int64) error {
	buf := make([]byte, min(quarantineChunk, to-from))
	for at := from; at < to; {
		chunk := buf[:min(int64(len(buf)), to-at)]
		if n, _ := source.ReadAt(chunk, at); n < len(chunk) {
			if len(chunk) > sectorBytes { // find out which sector it is
				buf = buf[:sectorBytes]
				continue
			}
			clear(chunk[n:])
		}
		if _, err := target.WriteAt(chunk, at-from); err != nil {
			return err
		}
		at += int64(len(chunk))
	}
	return nil
}

// keepFile moves a whole file here, and returns its new name.
func (q *quarantine) keepFile(l *segmentLog, name string) (string, error) {
	kept := l.dir + "-" + name
	if err := q.fs.Rename(l.path(name), q.path(kept)); err != nil {
		return "", err
	}
	return filepath.Join(quarantineDir, kept), errors.Join(q.fs.SyncDir(filepath.Join(q.root, quarantineDir)), l.syncDir())
}

// has reports whether a file of that size is here.
func (q *quarantine) has(name string, size int64) bool {
	f, err := q.fs.OpenFile(q.path(name), os.O_RDONLY, 0)
	if err != nil {
		return false
	}
	n, err := f.Size()
	return errors.Join(err, f.Close()) == nil && n == size
}

// measure counts what is here from before.
func (q *quarantine) measure() error {
	entries, err := q.fs.ReadDir(filepath.Join(q.root, quarantineDir))
	for _, e := range entries {
		q.add(e.Size)
	}
	return err
}
