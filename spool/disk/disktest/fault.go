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

	// Changing are those that may change the disk.
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

// Extent is how much of a failed operation happened all the same.
type Extent uint8

// The extents. Some is drawn from the disk's seed: a prefix of a write or a read, a subset of what a Sync
// or a SyncDir was to make durable; what cannot be done by halves is done or not.
const (
	Nothing Extent = iota
	Some
	All
)

// Fault makes operations fail, or lie. It is not written into the files: once it is lifted, every byte reads
// as if it had never been there, except for what a failed or lying operation did.
type Fault struct {
	On     Op      // which operations
	Name   string  // only on paths that contain this; empty: on any
	From   int64   // reads and writes: only those that touch a byte of the file in [From, To)
	To     int64   // 0: anywhere in the file
	Err    error   // what they return, in an *os.PathError; nil: EIO
	Landed Extent  // what happens although the error is returned
	Lie    Lie     // they return success instead of Err
	Skip   int     // so many matching operations pass first
	Times  int     // so many fail then; 0: one; negative: all, until Heal
	Chance float64 // each of those fails with this probability only; 0: surely
}

// Inject adds a fault, and returns the function that lifts it. Faults are asked in the order they were added;
// the first that strikes decides. They end with the life of the disk.
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

// Heal makes the disk well: it takes all faults away, mends latent sectors and brings back what was moved
// away. Pages that a failed Sync dropped stay dropped, and what a lie wrote stays written.
func (d *Disk) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = nil
	d.bringBack()
	for _, i := range d.inodes() {
		i.latent = nil
	}
}

// StopAfter lets n more changing operations happen; the next one finds the power gone.
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

// failure is what start decided about one operation: the zero value lets it happen.
type failure struct {
	err    error
	extent Extent
	lie    Lie
}

// run does an operation that cannot be done by halves, or not, or reports an error for it either way.
func (f failure) run(do func() error) error {
	if f.err == nil {
		return do()
	}
	if f.extent == All {
		_ = do() // the caller is told of f.err, whatever happened
	}
	return f.err
}

// start is how every operation begins: it says whether the disk still lives and which fault strikes.
// The caller holds mu.
func (d *Disk) start(op Op, name string) (failure, error) { return d.startAt(op, name, 0, 0) }

// startAt is start of a read or write of the bytes in [from, to). The caller holds mu.
func (d *Disk) startAt(op Op, name string, from, to int64) (failure, error) {
	if op&Changing != 0 && !d.stopped {
		d.changes++
		d.stopped = d.stopAt > 0 && d.changes >= d.stopAt
	}
	if d.stopped {
		return failure{}, pathError(op.String(), name, ErrStopped)
	}
	f := d.strike(op, name, from, to)
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

// strike returns the first fault that hits the operation, or nil. The caller holds mu.
func (d *Disk) strike(op Op, name string, from, to int64) *Fault {
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
