// Package disktest is a disk.FS in memory that fails in all ways in which kernels and drives may fail.
//
// It guarantees what package disk guarantees, and no more:
//
//   - Bytes written and not synced are lost at a crash, or torn: of each sector of 512 bytes, any of the
//     versions since the last successful Sync may be what the crash leaves, independent of its neighbours.
//     The size of a file may be the old one, the new one or one in between.
//   - A name that was created, renamed or removed may be in its old or new state until SyncDir of its
//     directory returned nil. Changes of different names reach the disk in any order. This includes the
//     directory's own name: Sync and SyncDir inside it do not make it durable.
//   - A Sync that fails drops the dirty pages: their content may stay readable or not, it is not durable,
//     and later Syncs of the file report success (PostgreSQL met this as "fsyncgate", 2018).
//   - Writes may be short, space may run out (by Options.Capacity, or injected), any operation may fail
//     without effect or after it took effect (Inject), and durable bits may flip (Flip).
//   - Opens, reads and listings may fail for a while (Inject), a range may be unreadable until it is
//     written again (Latent), a file or a directory may be missing for a while (MoveAway). These faults do
//     not change the data: after Heal every byte is there.
//   - A drive may report success for a write that it did not do or did elsewhere, or return a wrong bit
//     once (Lie).
//
// A disk has one life, that of a process. Crash and Kill end it and return the disk of the next life; from
// then on every handle and every call of the ended life fails with ErrStopped, so a goroutine that is left
// over from the ended life cannot change the disk of the next one.
//
// The same seed and the same sequence of calls give the same disk.
package disktest

import (
	"errors"
	"math/rand/v2"
	"os"
	"path"
	"strconv"
	"sync"
	"syscall"

	"github.com/reporterd/reporterd/spool/disk"
)

// ErrStopped is wrapped by the error of every operation after the disk's life has ended.
var ErrStopped = errors.New("disk stopped")

// plenty is the free space that a disk without a capacity reports, in bytes.
const plenty = 1 << 40

// Options of a disk. The zero value has no limit and seed zero.
type Options struct {
	Seed     uint64 // of all random choices: what a crash leaves, which operations a Fault with a Chance hits
	Capacity int64  // bytes of file content it holds; 0: without limit
}

// Disk is one life of a simulated disk. It implements disk.FS. All methods may be called concurrently.
type Disk struct {
	mu       sync.Mutex // guards the fields below, and every inode and handle of this disk
	rng      *rand.Rand
	capacity int64
	names    map[string]*inode // the names of this life, by clean path
	durable  map[string]*inode // the names that a crash cannot remove
	pending  []naming          // name changes that no SyncDir has made durable, in order
	open     map[*inode]int    // handles per file: a removed file takes space until they are closed
	locks    map[*inode]bool
	away     map[string]*shelf // the entries that MoveAway removed, by name
	faults   []*Fault
	lies     []string // effects of operations with a Lie
	changes  int      // operations so far that could change the disk
	stopAt   int      // the value of changes at which the power fails; 0: never
	stopped  bool
	boots    int // crashes before this life; set once
	trace    trace
}

var _ disk.FS = (*Disk)(nil)

// New returns an empty disk that holds the root directory and the current one.
func New(o Options) *Disk {
	root := &inode{dir: true}
	return &Disk{
		rng:      rand.New(rand.NewPCG(o.Seed, 0x6469736b)),
		capacity: o.Capacity,
		names:    map[string]*inode{"/": root, ".": root},
		durable:  map[string]*inode{"/": root, ".": root},
		open:     map[*inode]int{},
		locks:    map[*inode]bool{},
		away:     map[string]*shelf{},
	}
}

// SetCapacity changes how many bytes of file content fit from now on; 0: any number.
func (d *Disk) SetCapacity(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = n
}

// Changes counts the operations so far that could have changed the disk. StopAfter counts the same ones, so a test can run a
// workload once and then again for every point at which the power may fail.
func (d *Disk) Changes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changes
}

// Free implements disk.FS. Without a capacity it reports a tebibyte.
func (d *Disk) Free(name string) (free, total int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := d.startLocked(Free, name)
	if err != nil {
		return 0, 0, err
	}
	err = f.run(func() error {
		free, total = plenty, plenty
		if d.capacity > 0 {
			free, total = max(0, d.capacity-d.usedLocked()), d.capacity
		}
		return nil
	})
	return free, total, err
}

// Lock implements disk.FS. The lock ends with Close and with the disk's life.
func (d *Disk) Lock(name string) (disk.Held, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	f, err := d.startLocked(Lock, name)
	if err != nil {
		return nil, err
	}
	err = f.run(func() error {
		if d.locks[d.names[name]] {
			return pathError("lock", name, disk.ErrLocked)
		}
		if d.names[name] == nil {
			if _, err := d.createLocked(name); err != nil {
				return err
			}
		}
		d.locks[d.names[name]] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &lock{held{d: d, name: name, node: d.names[name]}}, nil
}

// Hold implements disk.FS.
func (d *Disk) Hold(name string) (disk.Held, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	f, err := d.startLocked(Open, name)
	if err == nil {
		err = f.err
	}
	if err == nil && d.names[name] == nil {
		err = pathError("open", name, os.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	return &held{d: d, name: name, node: d.names[name]}, nil
}

// Boot implements disk.FS: after Crash it is another one, after Kill the same.
func (d *Disk) Boot() string { return "boot " + strconv.Itoa(d.boots) }

// held is a file or directory that was opened by its name.
type held struct {
	d    *Disk
	name string
	node *inode
}

// Same implements disk.Held.
func (h *held) Same() error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	f, err := h.d.startLocked(Stat, h.name)
	switch {
	case err != nil:
		return err
	case f.err != nil:
		return f.err
	case h.d.names[h.name] != h.node:
		return pathError("stat", h.name, disk.ErrReplaced)
	}
	return nil
}

// Identity implements disk.Held. A simulated disk returns an unknown identity.
func (h *held) Identity() (disk.Identity, error) { return disk.Identity{}, nil }

// Close implements io.Closer.
func (h *held) Close() error { return nil }

// Locked implements disk.FS.
func (d *Disk) Locked(name string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	f, err := d.startLocked(Lock, name)
	if err != nil {
		return false, err
	}
	return d.locks[d.names[name]], f.run(func() error { return nil })
}

// lock is a held lock on a file, also after the file was renamed.
type lock struct{ held }

// Close releases the lock.
func (l *lock) Close() error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	delete(l.d.locks, l.node)
	return nil
}

// usedLocked returns the bytes that the files of this life occupy, including open files without a name.
func (d *Disk) usedLocked() int64 {
	var sum int64
	for _, i := range d.inodesLocked() {
		sum += i.occupied()
	}
	return sum
}

// inodesLocked returns every file that has a name in this life, was moved away or is open, unordered.
func (d *Disk) inodesLocked() []*inode {
	all := make([]*inode, 0, len(d.names))
	seen := make(map[*inode]bool, len(d.names))
	add := func(i *inode) {
		if !seen[i] {
			seen[i] = true
			all = append(all, i)
		}
	}
	for _, i := range d.names {
		add(i)
	}
	for _, s := range d.away {
		for _, i := range s.names {
			add(i)
		}
	}
	for i := range d.open {
		add(i)
	}
	return all
}

// freeLocked returns how many bytes a file may grow by.
func (d *Disk) freeLocked() int64 {
	if d.capacity <= 0 {
		return plenty
	}
	return max(0, d.capacity-d.usedLocked())
}

// pathError returns an errno in the form of package os.
func pathError(op, name string, err error) error {
	return &os.PathError{Op: op, Path: name, Err: err}
}

// noSpace is the error of an operation on a full disk.
func noSpace(op, name string) error { return pathError(op, name, syscall.ENOSPC) }
