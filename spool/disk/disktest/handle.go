package disktest

import (
	"io"
	"os"
	"path"
	"runtime"
	"syscall"

	"github.com/reporterd/reporterd/spool/disk"
)

// syncYields is the maximum number of times a Sync yields to other goroutines between its beginning and its end: a crash, a write
// or a premature acknowledgement can happen in between, as on a real disk.
const syncYields = 4

// OpenFile implements disk.FS. It supports O_CREATE, O_EXCL, O_TRUNC and the access mode; permissions are ignored.
func (d *Disk) OpenFile(name string, flag int, _ os.FileMode) (disk.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	op := Open
	if flag&os.O_CREATE != 0 && d.names[name] == nil {
		op = Create
	}
	f, err := d.startLocked(op, name)
	if err != nil {
		return nil, err
	}
	var i *inode
	err = f.run(func() (err error) {
		i, err = d.openFileLocked(name, flag)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.open[i]++
	return &handle{d: d, name: name, node: i, writable: flag&(os.O_WRONLY|os.O_RDWR) != 0}, nil
}

// openFileLocked finds or creates the file.
func (d *Disk) openFileLocked(name string, flag int) (*inode, error) {
	if flag&os.O_CREATE != 0 {
		if d.names[name] == nil {
			return d.createLocked(name)
		}
		if flag&os.O_EXCL != 0 {
			return nil, pathError("open", name, syscall.EEXIST)
		}
	}
	i, err := d.fileLocked("open", name)
	if err == nil && flag&os.O_TRUNC != 0 {
		i.resize(0)
	}
	return i, err
}

// handle is an open file of one life.
type handle struct {
	d        *Disk
	name     string // as opened; a rename does not change it
	node     *inode
	writable bool
	closed   bool
}

// beginLocked begins every operation on an open file.
func (h *handle) beginLocked(op Op, writes bool) (failure, error) {
	return h.beginAtLocked(op, writes, 0, 0)
}

// beginAtLocked is beginLocked for a read or write of the bytes in [from, to).
func (h *handle) beginAtLocked(op Op, writes bool, from, to int64) (failure, error) {
	f, err := h.d.startAtLocked(op, h.name, from, to)
	switch {
	case err != nil:
		return f, err
	case h.closed:
		return f, pathError(op.String(), h.name, os.ErrClosed)
	case writes && !h.writable:
		return f, pathError(op.String(), h.name, syscall.EBADF)
	}
	return f, nil
}

// ReadAt implements io.ReaderAt.
func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	f, err := h.beginAtLocked(Read, false, off, off+int64(len(p)))
	if err != nil {
		return 0, err
	}
	if f.err == nil && h.node.unreadable(off, min(off+int64(len(p)), h.node.now.size)) {
		f.err = pathError("read", h.name, syscall.EIO)
		h.d.trace.add(Read, h.name, "latent sector error")
	}
	if f.err != nil {
		return h.readFailingLocked(p, off, f)
	}
	n := h.node.now.read(p, off)
	if f.lie == Garbled && n > 0 {
		p[h.d.rng.IntN(n)] ^= 1 << h.d.rng.IntN(8)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readFailingLocked reads what a failing read returns: no bytes, or a prefix.
func (h *handle) readFailingLocked(p []byte, off int64, f failure) (int, error) {
	if f.extent != Some || len(p) == 0 {
		return 0, f.err
	}
	return h.node.now.read(p[:h.d.rng.IntN(len(p))], off), f.err
}

// WriteAt implements io.WriterAt. On a full disk it writes what fits.
func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	f, err := h.beginAtLocked(Write, true, off, off+int64(len(p)))
	if err != nil {
		return 0, err
	}
	if f.err != nil {
		return h.writeFailingLocked(p, off, f)
	}
	fits := h.fitsLocked(p, off)
	if fits > 0 {
		h.node.write(off, p[:fits])
	}
	if fits < len(p) {
		return fits, noSpace("write", h.name)
	}
	return fits, nil
}

// fitsLocked returns how many bytes of p fit on the disk.
func (h *handle) fitsLocked(p []byte, off int64) int {
	end := off + int64(len(p))
	over := h.node.growth(end) - h.d.freeLocked()
	if over <= 0 {
		return len(p)
	}
	return int(max(0, (roundUp(end)-over)/sector*sector-off))
}

// writeFailingLocked writes what a failing write writes. If that is everything, the answer got lost: the caller gets an error
// although the bytes are written.
func (h *handle) writeFailingLocked(p []byte, off int64, f failure) (int, error) {
	n := 0
	switch fits := h.fitsLocked(p, off); {
	case f.extent == All && fits > 0:
		h.node.write(off, p[:fits])
	case f.extent == Some && fits > 0:
		if n = h.d.rng.IntN(fits); n > 0 {
			h.node.write(off, p[:n])
		}
	}
	return n, f.err
}

// Sync implements disk.File: what was written before the call is durable when it returns nil.
func (h *handle) Sync() error {
	upTo, yields, f, err := h.beginSync()
	if err != nil {
		return err
	}
	for range yields {
		runtime.Gosched()
	}
	return h.endSync(upTo, f)
}

// beginSync returns what the Sync is to make durable.
func (h *handle) beginSync() (upTo uint64, yields int, f failure, err error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	f, err = h.beginLocked(Sync, false)
	return h.node.synced + uint64(len(h.node.pending)), h.d.rng.IntN(syncYields + 1), f, err
}

// endSync makes that durable, or drops it.
func (h *handle) endSync(upTo uint64, f failure) error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if h.d.stopped {
		return pathError("sync", h.name, ErrStopped)
	}
	n := 0
	if upTo > h.node.synced { // another Sync may have done it in the meantime
		n = int(upTo - h.node.synced)
	}
	switch {
	case f.lie == Phantom:
		h.d.phantomLocked(h.name, h.node, n)
	case f.lie == Misdirected:
		h.d.misdirectLocked(h.name, h.node, n)
	case f.err == nil || f.extent == All:
		h.node.settle(n)
	case f.extent == Some:
		h.node.drop(h.d.rng, drawLuck(h.d.rng), n)
	default:
		h.node.drop(h.d.rng, 0, n)
	}
	return f.err
}

// Truncate implements disk.File.
func (h *handle) Truncate(size int64) error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	f, err := h.beginLocked(Truncate, true)
	if err != nil {
		return err
	}
	return f.run(func() error {
		h.node.resize(size)
		return nil
	})
}

// Allocate implements disk.File. Writes into the reserved range do not fail for lack of space.
func (h *handle) Allocate(size int64) error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	f, err := h.beginLocked(Allocate, true)
	if err != nil {
		return err
	}
	return f.run(func() error {
		if h.node.growth(size) > h.d.freeLocked() {
			return noSpace("allocate", h.name)
		}
		h.node.resize(size)
		h.node.reserved = size
		return nil
	})
}

// Size implements disk.File.
func (h *handle) Size() (int64, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	f, err := h.beginLocked(Stat, false)
	if err == nil {
		err = f.err
	}
	if err != nil {
		return 0, err
	}
	return h.node.now.size, nil
}

// Close implements io.Closer. It does not sync.
func (h *handle) Close() error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if h.closed {
		return pathError("close", h.name, os.ErrClosed)
	}
	h.closed = true
	if h.d.open[h.node]--; h.d.open[h.node] == 0 {
		delete(h.d.open, h.node)
	}
	if h.d.stopped {
		return pathError("close", h.name, ErrStopped)
	}
	return nil
}
