package spool_test

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// content returns every file of the disk.
func (h *history) content() map[string][]byte {
	d, files := h.disk.(local), map[string][]byte{}
	for _, name := range d.Files() {
		files[name] = d.Durable(name)
	}
	return files
}

// startDamaged opens a damaged directory on a disk that at first may not take what is to be set aside. Such a start
// fails, and the next one succeeds.
func (h *history) startDamaged() (s *spool.Spool, found *spool.Recovery, err error) {
	if h.rng.IntN(2) == 0 {
		ops := []disktest.Op{disktest.Create, disktest.Write, disktest.Sync, disktest.SyncDir, disktest.Rename, disktest.Changing}
		h.disk.Inject(disktest.Fault{
			On: ops[h.rng.IntN(len(ops))], Name: "quarantine", Times: -1, Err: []error{syscall.ENOSPC, syscall.EIO}[h.rng.IntN(2)],
		})
	}
	for tries := range 2 {
		s, found, err = spool.Open(spool.Options{
			Dir: "data", FS: h.disk, SegmentBytes: h.shape.segment, DedupeWindow: 24 * time.Hour,
		})
		if err == nil || tries == 1 || !isFault(err) {
			break
		}
		h.disk.Heal()
	}
	return s, found, err
}

// segmentHead is how long the head of a segment is. A damaged one is said and not set aside: its file's name says the
// same.
const segmentHead = 32

// checkQuarantine looks for every damaged range that was found: it has to be kept, durably, as it was.
func (h *history) checkQuarantine(found *spool.Recovery, before map[string][]byte) {
	for _, r := range found.Damaged {
		if r.Offset == 0 && r.Bytes == segmentHead {
			continue
		}
		name := fmt.Sprintf("data/quarantine/%s-%s-%d.bin", path.Dir(r.File), strings.TrimSuffix(path.Base(r.File), ".seg"), r.Offset)
		kept, was := h.disk.(local).Durable(name), before["data/"+r.File]
		if end := r.Offset + r.Bytes; end > int64(len(was)) || !bytes.Equal(kept, was[r.Offset:end]) {
			h.book.fault("%s: %d damaged bytes at offset %d: %d are kept in %s", r.File, r.Bytes, r.Offset, len(kept), name)
		}
	}
}
