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

// InspectOptions name the directory to read.
type InspectOptions struct {
	Dir      string
	FS       disk.FS                 // nil: disk.OS
	Progress func(done, total int64) // bytes; called repeatedly by Verify; may be nil
}

// inspectTries is how often a directory in use is read while it looks damaged: a frame that is being written may look damaged for
// a moment.
const inspectTries = 3

// Inspection is what Open would find in a data directory. It is made without changing anything and without a lock. Methods may be
// called concurrently.
type Inspection struct {
	Found  *Recovery // what recovery would find at this moment
	InUse  bool      // a process holds the directory's lock
	Holder string    // its process id, or "(unknown)"
	spool  *Spool
	files  *wal.ReadOnlyFS
}

// Inspect reads a data directory as Open would, also while a daemon uses it. It sees the journal as of the moment when its
// reading ended, the batch log as of some moments before: figures of a directory in use agree with each other, and are a moment
// old. It takes about 200 bytes of memory for each live batch. It ends with ctx.
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

// checked fills in the file system, and refuses a directory that no daemon has used.
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

// inUse reports whether a process holds the lock. Without permission to ask, it reports false.
func inUse(o InspectOptions) (held bool, holder string, err error) {
	name := filepath.Join(o.Dir, "lock")
	for _, target := range []string{name, o.Dir} { // the lock file may have been removed
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

// InUse reports whether a process holds a data directory, and its process id if known. It changes nothing. A directory that does
// not exist is not in use.
func InUse(dir string) (held bool, holder string, err error) {
	return inUse(InspectOptions{Dir: dir, FS: disk.OS{}})
}

// read runs recovery over a readOnlyFS. The journal is pinned first: then every event behind the last cut that the batch log
// contains is available, however many cuts are made in the meantime.
func (in *Inspection) read(ctx context.Context, o InspectOptions) error {
	if err := in.Close(); err != nil {
		return err
	}
	in.spool, in.files = openReadOnly(ctx, o, "journal", "batches")
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

// openReadOnly returns a Spool that has read nothing yet, on a readOnlyFS with some directories pinned.
func openReadOnly(ctx context.Context, o InspectOptions, pinned ...string) (*Spool, *wal.ReadOnlyFS) {
	for i := range pinned {
		pinned[i] = filepath.Join(o.Dir, pinned[i])
	}
	files := wal.NewReadOnlyFS(ctx, o.FS, pinned...)
	s := build(Options{Dir: o.Dir, FS: files, Sync: Never}.withDefaults(), nil, true)
	return s, files
}

// Close closes the files. Results of earlier calls stay valid.
func (in *Inspection) Close() error {
	if in.files == nil {
		return nil
	}
	files := in.files
	in.files = nil
	return files.Close()
}

// Usage returns what is on disk. Figures of commits, free space and event ids are not available.
func (in *Inspection) Usage() Usage { return in.spool.Usage() }

// Batches returns every live batch, lane by lane, in the order of sealing within each.
func (in *Inspection) Batches() []BatchInfo { return in.spool.Batches() }

// Batch reads a live batch with its state. If it is not live, the error is ErrUnknownBatch; if it is damaged, ErrDamaged.
func (in *Inspection) Batch(id BatchID) (*Batch, BatchInfo, error) {
	info, ok := in.spool.Batch(id)
	if !ok {
		return nil, info, fmt.Errorf("spool: batch %s: %w", id, ErrUnknownBatch)
	}
	b, err := in.spool.Load(id)
	return b, info, err
}

// Uncut reads from disk the events behind the last cut and calls yield for each, with its lane and timestamp (Unix seconds). The
// key's strings are valid until yield returns; Clone copies them. It ends early with the error of the context given to Inspect,
// or when yield returns false.
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
