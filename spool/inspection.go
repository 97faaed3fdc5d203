package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/spool/disk"
)

// InspectOptions say what to look at.
type InspectOptions struct {
	Dir      string
	FS       disk.FS                 // nil: disk.OS
	Progress func(done, total int64) // bytes; called now and then by Verify; nil: nobody asks
}

// inspectTries is how often a directory in use is read while it looks damaged: a frame that is being written
// may look so for a moment.
const inspectTries = 3

// Inspection is what Open would find in a data directory. Nothing was changed and no lock was taken for it.
// Methods may be called concurrently.
type Inspection struct {
	Found  *Recovery // what recovery would find at this moment
	InUse  bool      // a process holds the directory's lock
	Holder string    // its process id, as far as it is known
	spool  *Spool
	files  *wal.ReadOnlyFS
}

// Inspect reads a data directory as Open would, also while a daemon uses it. Of the journal it sees what was
// there when the reading of it ended, of the batch log what was there some moments before: figures of a
// directory in use agree with each other, and are a moment old. It keeps some 200 bytes of memory a live
// batch. It ends with ctx.
func Inspect(ctx context.Context, o InspectOptions) (*Inspection, error) {
	in := &Inspection{}
	var err error
	if o, err = o.checked(); err != nil {
		return nil, err
	}
	for range inspectTries {
		if in.InUse, in.Holder, err = inUse(o); err != nil {
			return nil, err
		}
		if err := in.read(ctx, o); err != nil {
			return nil, err
		}
		if !in.InUse || len(in.Found.Damaged) == 0 && in.Found.Lost == 0 {
			break
		}
	}
	return in, nil
}

// checked fills in the file system, and refuses a directory that no daemon ever used.
func (o InspectOptions) checked() (InspectOptions, error) {
	if o.FS == nil {
		o.FS = disk.OS{}
	}
	_, err := o.FS.ReadDir(filepath.Join(o.Dir, "batches"))
	if errors.Is(err, fs.ErrNotExist) {
		return o, fmt.Errorf("spool: %s: not a data directory of reporterd: %w", o.Dir, err)
	}
	if err != nil {
		return o, fmt.Errorf("spool: data directory: %w", err)
	}
	return o, nil
}

// inUse reports whether a process holds the lock. One who may not ask takes it that nobody does.
func inUse(o InspectOptions) (held bool, holder string, err error) {
	name := filepath.Join(o.Dir, "lock")
	for _, target := range []string{name, o.Dir} { // a lock file may have been removed
		locked, err := o.FS.Locked(target)
		if err != nil && !errors.Is(err, fs.ErrPermission) && target == name {
			return false, "", fmt.Errorf("spool: data directory: %w", err)
		}
		held = held || err == nil && locked
	}
	if held {
		holder = lockHolder(o.FS, name)
	}
	return held, holder, nil
}

// InUse reports whether a process holds a data directory, and its process id as far as it is known. It
// changes nothing. A directory that is not there is not in use.
func InUse(dir string) (held bool, holder string, err error) {
	return inUse(InspectOptions{Dir: dir, FS: disk.OS{}})
}

// read runs recovery over a readOnlyFS. The journal is pinned first: then every event behind the last cut that the
// batch log will tell of is there, however many cuts are made meanwhile.
func (in *Inspection) read(ctx context.Context, o InspectOptions) error {
	if err := in.Close(); err != nil {
		return err
	}
	in.spool, in.files = lookingAt(ctx, o, "journal", "batches")
	_, err := in.files.ReadDir(filepath.Join(o.Dir, "journal"))
	if err == nil {
		in.Found, _, err = in.spool.recover()
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return errors.Join(err, in.Close())
	}
	return nil
}

// lookingAt returns a spool that nothing was read of, behind a readOnlyFS with some directories pinned.
func lookingAt(ctx context.Context, o InspectOptions, pinned ...string) (*Spool, *wal.ReadOnlyFS) {
	for i := range pinned {
		pinned[i] = filepath.Join(o.Dir, pinned[i])
	}
	g := wal.NewReadOnlyFS(ctx, o.FS, pinned...)
	s := build(Options{Dir: o.Dir, FS: g, Sync: Never}.withDefaults(), nil, true)
	return s, g
}

// Close releases the files. What was asked before stays valid.
func (in *Inspection) Close() error {
	if in.files == nil {
		return nil
	}
	g := in.files
	in.files = nil
	return g.Close()
}

// Usage returns what is on disk. Figures of commits, free space and event ids are not known.
func (in *Inspection) Usage() Usage { return in.spool.Usage() }

// Batches returns every live batch, lane by lane, in the order of sealing within each.
func (in *Inspection) Batches() []BatchInfo { return in.spool.Batches() }

// Batch reads a live batch and what is known of it. One that is not live gives ErrUnknownBatch, one that
// cannot be read ErrDamaged.
func (in *Inspection) Batch(id BatchID) (*Batch, BatchInfo, error) {
	info, ok := in.spool.Batch(id)
	if !ok {
		return nil, info, fmt.Errorf("spool: batch %s: %w", id, ErrUnknownBatch)
	}
	b, err := in.spool.Load(id)
	return b, info, err
}

// Uncut calls yield for every event behind the last cut, from disk, with the lane it will be in and its
// timestamp, Unix seconds. The key's strings are valid until yield returns; Clone keeps it. It ends early with
// the error of the context given to Inspect, or when yield returns false.
func (in *Inspection) Uncut(yield func(lane LaneKey, timestamp int64) bool) error {
	t := in.spool.Tail()
	defer func() { _ = t.Close() }()
	for {
		found, err := t.step()
		if err != nil {
			return fmt.Errorf("spool: read journal: %w", err)
		}
		if !found {
			return nil
		}
		for e := range t.group.Events {
			if !yield(LaneKey{ServiceID: e.ServiceID, Credentials: e.Credentials}, e.Timestamp) {
				return nil
			}
		}
	}
}
