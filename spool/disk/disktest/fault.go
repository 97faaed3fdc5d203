package disktest

import (
	"strings"
	"syscall"
)

// Op is a set of operations of disk.FS and disk.File.
type Op uint16

// The operations. Open is of an existing file, Create of a new one.
const (
	Open Op = 1 << iota
	Create
	Read
	Write
	Sync
	Truncate
	Allocate
	Rename
	Remove
	Mkdir
	ReadDir
	SyncDir
	Free
	Lock
	Stat

	// Changing is the set of operations that may change the disk.
	Changing = Create | Write | Sync | Truncate | Allocate | Rename | Remove | Mkdir | SyncDir
)

var opNames = map[Op]string{
	Open: "open", Create: "create", Read: "read", Write: "write", Sync: "sync", Truncate: "truncate",
	Allocate: "allocate", Rename: "rename", Remove: "remove", Mkdir: "mkdir", ReadDir: "readdir",
	SyncDir: "syncdir", Free: "free", Lock: "lock", Stat: "stat",
}

// String returns the operation's name, as errors carry it; of a set, the names joined by "|".
func (o Op) String() string {
	var names []string
	for bit := Op(1); bit <= Stat; bit <<= 1 {
		if o&bit != 0 {
			names = append(names, opNames[bit])
		}
	}
	return strings.Join(names, "|")
}

// Extent is the part of a failed operation that took effect.
type Extent uint8

// The extents. Some is drawn at random: a prefix of a write or a read, a subset of what a Sync or a SyncDir was to make durable;
// an operation that is atomic takes effect or does not.
const (
	Nothing Extent = iota
	Some
	All
)

// Fault makes operations fail, or report success falsely. It does not change files: once it is removed, every byte reads as
// before, except for the effects of operations that failed or lied.
type Fault struct {
	On     Op      // which operations
	Name   string  // only paths that contain this; empty: all
	From   int64   // reads and writes: only those of a byte of the file in [From, To)
	To     int64   // 0: the whole file
	Err    error   // what they return, in an *os.PathError; nil: EIO
	Landed Extent  // the effect in spite of the error
	Lie    Lie     // they return success instead of Err
	Skip   int     // so many matching operations succeed first
	Times  int     // so many fail after that; 0: one; negative: all, until Heal
	Chance float64 // each of those fails with this probability; 0: always
}

// Inject adds a fault, and returns the function that removes it. Faults are checked in the order in which they were added; the
// first match decides. They end with the life of the disk.
func (d *Disk) Inject(f Fault) (lift func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f.Err == nil {
		f.Err = syscall.EIO
	}
	if f.Times == 0 {
		f.Times = 1
	}
	d.faults = append(d.faults, &f)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		f.Times = 0
	}
}

// Heal repairs the disk: it removes all faults, mends latent sectors and undoes MoveAway. Pages that a failed Sync dropped stay
// dropped, and the effects of lies stay.
func (d *Disk) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = nil
	d.bringBackLocked()
	for _, i := range d.inodesLocked() {
		i.latent = nil
	}
}

// StopAfter lets n more changing operations succeed; at the next one the power fails.
func (d *Disk) StopAfter(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopAt = d.changes + n + 1
}

// Stop ends the life of the disk now: every operation returns ErrStopped, also on open files.
func (d *Disk) Stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
}

// Stopped reports whether the disk's life has ended.
func (d *Disk) Stopped() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stopped
}

// failure is the result of start for one operation; the zero value lets it succeed.
type failure struct {
	err    error
	extent Extent
	lie    Lie
}

// run executes an atomic operation, or does not, and returns f.err in both cases.
func (f failure) run(do func() error) error {
	if f.err == nil {
		return do()
	}
	if f.extent == All {
		_ = do() // the caller gets f.err in any case
	}
	return f.err
}

// startLocked begins every operation: it returns an error after the disk's life, and otherwise the fault that applies.
func (d *Disk) startLocked(op Op, name string) (failure, error) {
	return d.startAtLocked(op, name, 0, 0)
}

// startAtLocked is startLocked for a read or write of the bytes in [from, to).
func (d *Disk) startAtLocked(op Op, name string, from, to int64) (failure, error) {
	if op&Changing != 0 && !d.stopped {
		d.changes++
		d.stopped = d.stopAt > 0 && d.changes >= d.stopAt
	}
	if d.stopped {
		return failure{}, pathError(op.String(), name, ErrStopped)
	}
	f := d.strikeLocked(op, name, from, to)
	if f == nil {
		d.trace.add(op, name, "")
		return failure{}, nil
	}
	if f.Lie != Honest {
		d.trace.add(op, name, f.Lie.String())
		return failure{lie: f.Lie}, nil
	}
	extent := f.Landed
	if extent == Some && op&(Read|Write|Sync|SyncDir) == 0 {
		extent = Nothing
		if d.rng.IntN(2) == 0 {
			extent = All
		}
	}
	d.trace.add(op, name, f.Err.Error())
	return failure{err: pathError(op.String(), name, f.Err), extent: extent}, nil
}

// strikeLocked returns the first fault that matches the operation, or nil.
func (d *Disk) strikeLocked(op Op, name string, from, to int64) *Fault {
	for _, f := range d.faults {
		if f.On&op == 0 || !strings.Contains(name, f.Name) || f.Times == 0 {
			continue
		}
		if f.To > 0 && (op&(Read|Write) == 0 || to <= f.From || from >= f.To) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Chance > 0 && d.rng.Float64() >= f.Chance {
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		return f
	}
	return nil
}
