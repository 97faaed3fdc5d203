// Package disktest is a disk.FS in memory that behaves as badly as kernels and drives may.
//
// What it promises is what package disk promises, and not a byte more:
//
//   - Bytes written and not synced are lost at a crash, or torn: of every sector of 512 bytes any of
//     the versions since the last good Sync may be what the crash leaves, whatever its neighbours do.
//     The size of a file is such a thing too: old, new or in between.
//   - A name that was created, renamed or removed is as it was, or as it is, until SyncDir of its
//     directory returned nil. Changes of different names reach the disk in any order. A directory's
//     own name is no exception: Sync and SyncDir inside it do not save it.
//   - A Sync that fails drops the dirty pages: what they held may stay readable or not, it is not
//     durable, and later Syncs of the file report success all the same (PostgreSQL met this as
//     "fsyncgate", 2018).
//   - Writes may be short, space may run out (by Options.Capacity, or injected), any operation may fail
//     without effect or although it took effect (Inject), and durable bits may flip (Flip).
//   - Opens, reads and listings may fail for a while (Inject), a range may be unreadable until it is
//     written again (Latent), a file or a directory may be away for a while (MoveAway). These faults lie
//     over data that stays as it was: once they are lifted (Heal), every byte is there.
//   - A drive may lie: report a write that it did not do or did elsewhere, or return a bit that is wrong
//     only this time (Lie).
//
// A disk has one life. Crash and Kill end it and return the next one's disk; every handle and every
// call of the ended life fails with ErrStopped from then on, so a goroutine left over from a dead
// process cannot touch what its successor does.
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

// ErrStopped is what every operation returns, wrapped, once the disk's life has ended.
var ErrStopped = errors.New("disk stopped")

// plenty is what Free reports of a disk without a capacity, in bytes.
const plenty = 1 << 40

// Options shape a disk. The zero value is one without a limit, seeded with zero.
type Options struct {
	Seed     uint64 // of everything random: what a crash leaves, which chance faults strike
	Capacity int64  // bytes of file content it holds; 0: without limit
}

// Disk is one life of a simulated disk. It implements disk.FS. All methods may be called concurrently.
type Disk struct {
	mu       sync.Mutex // guards the fields below, and every inode and handle of this disk
	rng      *rand.Rand
	capacity int64
	names    map[string]*inode // what this life sees, by clean path
	durable  map[string]*inode // what a crash certainly leaves
	pending  []naming          // name changes that no SyncDir has made durable, in order
	open     map[*inode]int    // handles per file: an unlinked file keeps its space until they close
	locks    map[*inode]bool
	away     map[string]*shelf // what MoveAway took, by name
	faults   []*Fault
	lies     []string // what lying operations did
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

// Changes counts the operations so far that could have changed the disk: it is what StopAfter counts,
// so a test can run a workload once and then again for every point at which the power may fail.
func (d *Disk) Changes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changes
}

// Free implements disk.FS. Without a capacity it reports a tebibyte.
func (d *Disk) Free(name string) (free, total int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := d.start(Free, name)
	if err != nil {
		return 0, 0, err
	}
	err = f.run(func() error {
		free, total = plenty, plenty
		if d.capacity > 0 {
			free, total = max(0, d.capacity-d.used()), d.capacity
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
	f, err := d.start(Lock, name)
	if err != nil {
		return nil, err
	}
	err = f.run(func() error {
		if d.locks[d.names[name]] {
			return pathError("lock", name, disk.ErrLocked)
		}
		if d.names[name] == nil {
			if _, err := d.create(name); err != nil {
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
	f, err := d.start(Open, name)
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

// Boot implements disk.FS: Crash begins another one, Kill does not.
func (d *Disk) Boot() string { return "boot " + strconv.Itoa(d.boots) }

// held is a file or directory that was found under a name.
type held struct {
	d    *Disk
	name string
	node *inode
}

// Same implements disk.Held.
func (h *held) Same() error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	f, err := h.d.start(Stat, h.name)
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

// Identity implements disk.Held. A simulated disk does not tell.
func (h *held) Identity() (disk.Identity, error) { return disk.Identity{}, nil }

// Close implements io.Closer.
func (h *held) Close() error { return nil }

// Locked implements disk.FS.
func (d *Disk) Locked(name string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	f, err := d.start(Lock, name)
	if err != nil {
		return false, err
	}
	return d.locks[d.names[name]], f.run(func() error { return nil })
}

// lock is a held lock: on a file, whatever names the file has meanwhile.
type lock struct{ held }

// Close releases the lock.
func (l *lock) Close() error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	delete(l.d.locks, l.node)
	return nil
}

// used returns the bytes that the files of this life occupy, open ones without a name included. The
// caller holds mu.
func (d *Disk) used() int64 {
	var sum int64
	for _, i := range d.inodes() {
		sum += i.occupied()
	}
	return sum
}

// inodes returns every file that has a name in this life, was moved away or is open, in no order. The caller
// holds mu.
func (d *Disk) inodes() []*inode {
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

// room returns how many bytes a file may grow by. The caller holds mu.
func (d *Disk) room() int64 {
	if d.capacity <= 0 {
		return plenty
	}
	return max(0, d.capacity-d.used())
}

// pathError is how package os reports an errno.
func pathError(op, name string, err error) error {
	return &os.PathError{Op: op, Path: name, Err: err}
}

// noSpace is the error of an operation that found the disk full.
func noSpace(op, name string) error { return pathError(op, name, syscall.ENOSPC) }
