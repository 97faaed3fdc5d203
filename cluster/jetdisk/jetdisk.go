// Package jetdisk is a file system in a JetStream stream, for a spool without a local disk. It implements disk.FS with messages
// that the stream's servers replicate.
//
// The directory consists of the messages of one subject, one for each change: created, renamed, removed. When there are many, a
// snapshot in messages of bounded size replaces them. A file consists of the messages of another subject: each contains what was
// written since the previous one, and where. A Sync is one message, acknowledged by the stream; so is each change of a name. What was
// not synced is not stored.
//
// One process owns a disk at a time; a process that opens the disk takes it over. Every message names the last message of its
// subject that its writer knows, and the stream refuses it if that is not the last one (the fence). Opening writes to the
// directory and to every file that is not sealed, so from then on the former owner can neither write nor create files: its disk is
// dead, and returns ErrFenced. Which process should own a disk is not decided here.
//
// A file whose content is in one message is sealed by its rename and by a snapshot: the directory has its size and where it is, and
// no owner writes to it without saying so in the directory first, where the fence holds. So opening a disk neither writes to nor reads
// sealed files, and takes no time for each of them but that of reading the directory.
//
// A message in a disk's subjects that is none of a disk has no effect. A read that fails says nothing about what is stored: it is
// retried for Patience and then fails with EIO.
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

// ErrFenced is wrapped by every error after another process has taken over the disk.
var ErrFenced = errors.New("another process has taken over this disk")

// Options of Open.
type Options struct {
	JetStream jetstream.JetStream
	Stream    string        // must exist, and have the subjects Prefix.>
	Prefix    string        // of the disk's subjects
	Message   int           // most bytes of a message; 0: 512 KiB; never more than the servers and the stream allow
	Patience  time.Duration // how long a read or a write is retried while the servers do not answer; 0: 10 s
	CacheSize int64         // bytes of messages kept in memory for reading; 0: 16 MiB
	Reading   func()        // called for each message that is read, concurrently; may be nil

	// SetAside is called for each message of the disk's subjects that is none of a disk, while it is opened. Such a message has no
	// effect. May be nil.
	SetAside func(subject string, sequence uint64, why error)
}

// Disk is a disk.FS. All methods may be called concurrently.
type Disk struct {
	o       Options
	stream  jetstream.Stream
	ownerID string // identifies this owner in the ids of its messages
	counter atomic.Uint64
	cache   *cache
	ctx     context.Context    // cancelled by Close
	end     context.CancelFunc // ends ctx

	mu      sync.Mutex // guards the fields below
	names   map[string]*node
	epoch   uint64 // sequence number of the takeover
	last    uint64 // sequence number of the directory's last message
	records int    // changes of the directory since its last snapshot
	oldest  uint64 // sequence number of the directory's first message, or a lower one
	dead    error  // why the disk cannot be written to; nil: it can
	free    int64  // bytes, of the stream; limit: its max_bytes
	limit   int64
	asked   time.Time // when free and limit were requested
}

var _ disk.FS = (*Disk)(nil)

// Open takes over a disk, and returns once it is complete: from then on no other process can write to it. Everything that the
// former owner had synced is there.
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
	if o.SetAside == nil {
		o.SetAside = func(string, uint64, error) {}
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	d := &Disk{o: o, ownerID: hex.EncodeToString(id[:]), cache: newCache(o.CacheSize), names: map[string]*node{}}
	d.ctx, d.end = context.WithCancel(context.Background())
	defer context.AfterFunc(ctx, d.end)()
	var err error
	if d.stream, err = o.JetStream.Stream(ctx, o.Stream); err == nil {
		d.limitMessages()
		err = d.takeOver(ctx)
	}
	if err != nil {
		d.end()
		return nil, fmt.Errorf("jetdisk: %s: %w", o.Prefix, err)
	}
	return d, nil
}

// limitMessages makes messages no larger than the servers and the stream allow.
func (d *Disk) limitMessages() {
	most := int(d.o.JetStream.Conn().MaxPayload())
	if size := int(d.stream.CachedInfo().Config.MaxMsgSize); size > 0 {
		most = min(most, size)
	}
	d.o.Message = max(1, min(d.o.Message, most-partHead))
}

// Close cancels all calls. Synced data stays.
func (d *Disk) Close() { d.end() }

// Dead returns why the disk cannot be written to any more, or nil.
func (d *Disk) Dead() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// Epoch identifies this ownership: it is greater than that of every former owner.
func (d *Disk) Epoch() uint64 { return d.epoch }

func (d *Disk) directory() string { return d.o.Prefix + ".names" }

func (d *Disk) files() string { return d.o.Prefix + ".f." } // and an id

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}

// MkdirAll implements disk.FS. Directories exist only as parts of names.
func (d *Disk) MkdirAll(string, os.FileMode) error { return nil }

// SyncDir implements disk.FS. A change of a name is durable when the call that made it returns.
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
		made, err := d.createLocked(name)
		if err != nil {
			return nil, pathError("open", name, err)
		}
		n = made
	}
	return &file{disk: d, node: n, name: name}, nil
}

// createLocked makes a new file, which replaces an existing one of that name.
func (d *Disk) createLocked(name string) (*node, error) {
	seq, err := d.recordLocked(record{Op: opCreate, Name: name})
	if err != nil {
		return nil, err
	}
	old := d.names[name]
	n := &node{id: seq}
	d.names[name] = n
	d.discardLocked(old)
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
	sealed := n.trySeal()
	if sealed != nil {
		defer n.syncing.Unlock()
	}
	if _, err := d.recordLocked(record{Op: opRename, Name: oldName, To: newName, Sealed: sealed}); err != nil {
		return pathError("rename", oldName, err)
	}
	old := d.names[newName]
	delete(d.names, oldName)
	d.names[newName] = n
	if old != n {
		d.discardLocked(old)
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
	if _, err := d.recordLocked(record{Op: opRemove, Name: name}); err != nil {
		return pathError("remove", name, err)
	}
	delete(d.names, name)
	d.discardLocked(n)
	return nil
}

// freeLife is how long the stream's answer about its free space is used.
const freeLife = time.Second

// Free implements disk.FS. It returns the free space and the limit of the stream, which all its disks share.
func (d *Disk) Free(string) (free, total int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.asked) >= freeLife {
		ctx, cancel := context.WithTimeout(d.ctx, time.Second)
		defer cancel()
		info, err := d.stream.Info(ctx)
		if err != nil {
			return 0, 0, fmt.Errorf("jetdisk: %w", err)
		}
		d.asked, d.limit, d.free = time.Now(), unlimited, unlimited
		if most := info.Config.MaxBytes; most > 0 {
			d.limit, d.free = most, max(0, most-int64(info.State.Bytes))
		}
	}
	return d.free, d.limit, nil
}

// unlimited is the free space of a stream without a limit.
const unlimited = 1 << 60

// noLock implements a lock or a held name without effect: the owner of a disk owns all of it, and the fence rejects writes of
// other processes.
type noLock struct{}

func (noLock) Close() error { return nil }

func (noLock) Same() error { return nil }

func (noLock) Identity() (disk.Identity, error) { return disk.Identity{}, nil }

// Lock implements disk.FS. Opening the disk is the lock.
func (d *Disk) Lock(string) (disk.Held, error) { return noLock{}, nil }

// Hold implements disk.FS. No other process can replace a file while the disk is owned.
func (d *Disk) Hold(string) (disk.Held, error) { return noLock{}, nil }

// Boot implements disk.FS. Unsynced data is lost with the process.
func (d *Disk) Boot() string { return "" }

// Locked implements disk.FS.
func (d *Disk) Locked(string) (bool, error) { return false, nil }

// errno wraps an error of the stream with the errno of a disk.
func errno(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == codeInsufficientResources || api.ErrorCode == codeInsufficientStorage || strings.Contains(api.Description, "maximum")) {
		return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return fmt.Errorf("%w: %w", syscall.EIO, err)
}
