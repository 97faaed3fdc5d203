// Package jetdisk is a file system in a JetStream stream, for a spool without a local disk: what the spool makes
// of a disk (package disk), made of messages that the stream's servers replicate.
//
// The directory is the messages of one subject, each a record: created, renamed, removed. A file is the messages
// of another: each holds what was written since the one before, and where. A Sync is one message, acknowledged by
// the stream; so is each change of a name. What was not synced is not there.
//
// One process owns a disk at a time, and whoever opens it takes it over. Every message names the last one of its
// subject that its writer knows of, and the stream refuses it when that is not the last (the fence). Opening
// writes to the directory and to every file, so the owner before can neither write nor create anything from then
// on: its disk is dead, and says ErrFenced. Who owns a disk by right is not decided here.
package jetdisk

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/reporterd/reporterd/spool/disk"
)

// ErrFenced is wrapped by every error after another process took the disk over.
var ErrFenced = errors.New("another process has taken this disk over")

// Options are what a Disk is made of.
type Options struct {
	JetStream jetstream.JetStream
	Stream    string        // it exists, and takes Prefix.>
	Prefix    string        // of the disk's subjects
	MaxBytes  int64         // what the stream may hold, all disks of it together; 0: no limit
	Message   int           // bytes of a message at most; 0: 512 KiB
	Patience  time.Duration // how long a write is tried again while the servers are away; 0: 10 s
	CacheSize int64         // bytes of messages kept in memory for reading; 0: 16 MiB
	Reading   func()        // called for each message that is read, concurrently; nil: nobody listens
}

// Disk is a disk.FS. All methods may be called concurrently.
type Disk struct {
	o       Options
	stream  jetstream.Stream
	life    string // names this owner in the ids of its messages
	counter atomic.Uint64
	cache   *cache
	ctx     context.Context    // ends with Close
	end     context.CancelFunc // ends ctx

	mu      sync.Mutex // guards what follows
	names   map[string]*node
	epoch   uint64 // sequence of the takeover
	last    uint64 // sequence of the directory's last message
	records int    // messages of the directory since its last snapshot
	dead    error  // why nothing can be written any more
	free    int64
	asked   time.Time // when free was
}

var _ disk.FS = (*Disk)(nil)

// Open takes a disk over, and returns once it is whole: nobody else can write to it then. What the owner before
// had synced is there.
func Open(ctx context.Context, o Options) (*Disk, error) {
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	if o.Message == 0 {
		o.Message = 512 << 10
	}
	if o.CacheSize == 0 {
		o.CacheSize = 16 << 20
	}
	if o.Reading == nil {
		o.Reading = func() {}
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	d := &Disk{o: o, life: hex.EncodeToString(id[:]), cache: newCache(o.CacheSize), names: map[string]*node{}}
	d.ctx, d.end = context.WithCancel(context.Background())
	defer context.AfterFunc(ctx, d.end)()
	var err error
	if d.stream, err = o.JetStream.Stream(ctx, o.Stream); err == nil {
		err = d.takeOver(ctx)
	}
	if err != nil {
		d.end()
		return nil, fmt.Errorf("jetdisk: %s: %w", o.Prefix, err)
	}
	return d, nil
}

// Close ends every call that is under way. What is synced stays.
func (d *Disk) Close() { d.end() }

// Dead returns why the disk cannot be written to any more, or nil.
func (d *Disk) Dead() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// Epoch names this ownership: it is greater than that of every owner before.
func (d *Disk) Epoch() uint64 { return d.epoch }

func (d *Disk) directory() string { return d.o.Prefix + ".names" }

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}

// MkdirAll implements disk.FS. Directories are parts of names.
func (d *Disk) MkdirAll(string, os.FileMode) error { return nil }

// SyncDir implements disk.FS. A change of a name is durable when it is made.
func (d *Disk) SyncDir(name string) error { return pathError("sync", name, d.Dead()) }

// OpenFile implements disk.FS.
func (d *Disk) OpenFile(name string, flag int, _ os.FileMode) (disk.File, error) {
	name = filepath.Clean(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[name]
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, pathError("open", name, os.ErrNotExist)
	case n != nil && flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, pathError("open", name, os.ErrExist)
	case n == nil, flag&os.O_TRUNC != 0:
		made, err := d.create(name)
		if err != nil {
			return nil, pathError("open", name, err)
		}
		n = made
	}
	return &file{disk: d, node: n, name: name}, nil
}

// create makes a new file of a name, in place of the one that has it. The mutex is held.
func (d *Disk) create(name string) (*node, error) {
	seq, err := d.record(record{Op: opCreate, Name: name})
	if err != nil {
		return nil, err
	}
	old := d.names[name]
	n := &node{id: seq}
	d.names[name] = n
	d.discard(old)
	return n, nil
}

// ReadDir implements disk.FS.
func (d *Disk) ReadDir(name string) ([]disk.Entry, error) {
	name = filepath.Clean(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []disk.Entry
	for path, n := range d.names {
		if filepath.Dir(path) == name {
			all = append(all, disk.Entry{Name: filepath.Base(path), Size: n.length()})
		}
	}
	slices.SortFunc(all, func(a, b disk.Entry) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Rename implements disk.FS. It returns once it is durable.
func (d *Disk) Rename(oldName, newName string) error {
	oldName, newName = filepath.Clean(oldName), filepath.Clean(newName)
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[oldName]
	if n == nil {
		return pathError("rename", oldName, os.ErrNotExist)
	}
	if _, err := d.record(record{Op: opRename, Name: oldName, To: newName}); err != nil {
		return pathError("rename", oldName, err)
	}
	old := d.names[newName]
	delete(d.names, oldName)
	d.names[newName] = n
	if old != n {
		d.discard(old)
	}
	return nil
}

// Remove implements disk.FS. It returns once it is durable.
func (d *Disk) Remove(name string) error {
	name = filepath.Clean(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[name]
	if n == nil {
		return pathError("remove", name, os.ErrNotExist)
	}
	if _, err := d.record(record{Op: opRemove, Name: name}); err != nil {
		return pathError("remove", name, err)
	}
	delete(d.names, name)
	d.discard(n)
	return nil
}

// freeLife is how old the stream's word about its free space may be.
const freeLife = time.Second

// Free implements disk.FS: what the stream may still take, for all disks in it.
func (d *Disk) Free(string) (free, total int64, err error) {
	if d.o.MaxBytes <= 0 {
		return 1 << 60, 1 << 60, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.asked) >= freeLife {
		ctx, cancel := context.WithTimeout(d.ctx, time.Second)
		defer cancel()
		info, err := d.stream.Info(ctx)
		if err != nil {
			return 0, 0, fmt.Errorf("jetdisk: %w", err)
		}
		d.free, d.asked = max(0, d.o.MaxBytes-int64(info.State.Bytes)), time.Now()
	}
	return d.free, d.o.MaxBytes, nil
}

// nothing is a lock, or a name: who owns a disk has it all, and the fence refuses everybody else's changes.
type nothing struct{}

func (nothing) Close() error { return nil }

func (nothing) Same() error { return nil }

func (nothing) Identity() (disk.Identity, error) { return disk.Identity{}, nil }

// Lock implements disk.FS. Opening the disk was the lock.
func (d *Disk) Lock(string) (disk.Held, error) { return nothing{}, nil }

// Hold implements disk.FS. No name can be taken by another while the disk is owned.
func (d *Disk) Hold(string) (disk.Held, error) { return nothing{}, nil }

// Boot implements disk.FS. What is not synced ends with the process.
func (d *Disk) Boot() string { return "" }

// Locked implements disk.FS.
func (d *Disk) Locked(string) (bool, error) { return false, nil }

// errno makes what a stream says an error of a disk.
func errno(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == codeInsufficientResources || strings.Contains(api.Description, "maximum")) {
		return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return fmt.Errorf("%w: %w", syscall.EIO, err)
}
