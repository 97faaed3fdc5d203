package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/internal/durable"
)

const (
	// daysDir is the directory of the day files in the data directory, daySuffix ends their names.
	daysDir   = "ledger-days"
	daySuffix = ".sums"

	// dayRows is how many rows a day has at least to get a file: fewer are read as quickly from the database.
	dayRows = 1000

	// daySettled is how long the figures of a day have not changed when they are written into a file.
	daySettled = 10 * time.Minute

	// daysPart is the fraction (1/4) of the maximum file size that day files may take in addition; the latest days have one.
	daysPart = 4
)

// days keeps the day files: for days that are over, what each application used, by service and metric, so that the sums of a month
// are read in milliseconds. They are made from the database and hold nothing else. A file is removed before a change of its day is
// committed, and made again later. It is safe for concurrent use.
//
// A reader compares what a file says of all applications together with the database, and does without a file that differs.
type days struct {
	dir string

	mu         sync.Mutex           // guards the fields below
	sizes      map[uint32]int64     // of the files, in bytes, by day
	small      map[uint32]bool      // days that need no file
	changed    map[uint32]time.Time // when a day changed last, in this process
	generation uint64               // increased whenever a file is made or removed
	kept       keptTotals
}

func newDays(dataDir string) *days {
	return &days{dir: filepath.Join(dataDir, daysDir), sizes: make(map[uint32]int64), small: make(map[uint32]bool), changed: make(map[uint32]time.Time)}
}

// open finds the files there are. Those that were made from a later state of the database, as after it was restored, are removed.
func (d *days) open(transaction uint64) {
	entries, _ := os.ReadDir(d.dir) // usually there is no directory
	for _, e := range entries {
		path := filepath.Join(d.dir, e.Name())
		at, err := time.Parse(time.DateOnly, strings.TrimSuffix(e.Name(), daySuffix))
		if err == nil {
			err = d.adopt(path, dayOf(at), transaction)
		}
		if err != nil {
			_ = os.Remove(path)
		}
	}
}

func (d *days) adopt(path string, day uint32, transaction uint64) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	defer func() { _ = file.Close() }()
	r, err := readDay(file)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if r.day != day || r.made > transaction {
		return errDayFile
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sizes[day] = info.Size()
	return nil
}

func (d *days) path(day uint32) string {
	return filepath.Join(d.dir, dayTime(day).Format(time.DateOnly)+daySuffix)
}

// has reports whether a day has a file.
func (d *days) has(day uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.sizes[day]
	return ok
}

// remove removes the files of some days, durably, as far as the disk lets it: a file that comes back after a crash does not agree with
// the database.
func (d *days) remove(which func(day uint32) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	removed := false
	for day := range d.sizes {
		if which(day) {
			_ = os.Remove(d.path(day))
			delete(d.sizes, day)
			removed = true
		}
	}
	if !removed {
		return
	}
	d.generation++
	d.kept = keptTotals{}
	if dir, err := os.Open(d.dir); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
}

func (d *days) removeBefore(day uint32) { d.remove(func(at uint32) bool { return at < day }) }

// removeAll removes all files, also those that open did not find yet.
func (d *days) removeAll() {
	d.remove(func(uint32) bool { return true })
	_ = os.RemoveAll(d.dir)
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.small)
}

// changing is called before changes are committed: the files of their days do not hold any more.
func (r *run) changing(changes map[row]*change) {
	changed := make(map[uint32]bool)
	last := uint32(0)
	for at := range changes {
		if at.day != last {
			last = at.day
			changed[at.day] = true
		}
	}
	r.days.remove(func(day uint32) bool { return changed[day] })
	r.days.mu.Lock()
	defer r.days.mu.Unlock()
	now := time.Now()
	for day := range changed {
		r.days.changed[day] = now
		delete(r.days.small, day)
	}
}

// next returns the latest day in [first, before) that needs a file now.
func (d *days) next(first, before uint32, most int64) (day uint32, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := int64(0)
	for _, size := range d.sizes {
		all += size
	}
	for day = before; day > first && (most == 0 || all < most); {
		day--
		if _, has := d.sizes[day]; !has && !d.small[day] && time.Since(d.changed[day]) >= daySettled {
			return day, true
		}
	}
	return 0, false
}

// fileDay writes one day that is over into a file, if one needs it. Booking waits meanwhile, half a second for a million applications.
func (r *run) fileDay(ctx context.Context) {
	earliest := r.Stats().Earliest
	if r.filing = false; earliest.IsZero() || ctx.Err() != nil || r.readable() != nil {
		return
	}
	day, ok := r.days.next(dayOf(earliest), dayOf(time.Now()), r.options.MaxBytes/daysPart)
	if !ok {
		return
	}
	if err := r.fileOne(day); err != nil {
		r.options.Log.Warn("cannot write a file of a day: sums are read from ledger.db, which takes longer", zap.Error(err), zap.Time("day", dayTime(day)))
		r.days.skip(day)
	}
	r.filing = true
}

// skip leaves a day without a file until it changes.
func (d *days) skip(day uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.small[day] = true
}

func (r *run) fileOne(day uint32) error {
	var data []byte
	err := r.answer(func(tx *bbolt.Tx) error {
		columns, rows, err := dayColumns(tx, day)
		if err == nil && rows >= dayRows {
			data = encodeDay(day, uint64(tx.ID()), columns)
		}
		return err
	})
	if err != nil || data == nil {
		r.days.skip(day)
		return err
	}
	if err := os.MkdirAll(r.days.dir, 0o700); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	err = durable.Write(r.days.path(day), 0o600, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	r.days.mu.Lock()
	defer r.days.mu.Unlock()
	r.days.sizes[day] = int64(len(data))
	r.days.generation++
	return nil
}

// dayColumns reads a day.
func dayColumns(tx *bbolt.Tx, day uint32) (all []*dayColumn, rows int, err error) {
	now, err := readState(tx)
	if err != nil {
		return nil, 0, err
	}
	columns, service := make(map[uint32]*dayColumn), uint32(0)
	c := tx.Bucket(bucketDays).Cursor()
	for k, v := c.Seek((row{day: day}).key()); len(k) == 12 && binary.BigEndian.Uint32(k) == day; k, v = c.Next() {
		of, app := binary.BigEndian.Uint32(k[4:]), binary.BigEndian.Uint32(k[8:])
		if of != service {
			all = slices.AppendSeq(all, maps.Values(columns))
			clear(columns)
			service = of
		}
		if app == 0 {
			continue
		}
		rows++
		plain, err := unseal(k, v, now.sealed)
		if err == nil {
			err = eachOfDay(plain, func(metric uint32, f *Figures) {
				if columns[metric] == nil {
					columns[metric] = &dayColumn{service: service, metric: metric}
				}
				columns[metric].add(app, f)
			})
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	return slices.AppendSeq(all, maps.Values(columns)), rows, nil
}

// eachOfDay calls each with the sums of each metric of a row of the days.
func eachOfDay(data []byte, each func(metric uint32, f *Figures)) error {
	var sum Figures
	metric := uint32(0)
	err := eachCell(data, func(c *cell) {
		if c.metric != metric && metric != 0 {
			each(metric, &sum)
			sum = Figures{}
		}
		metric = c.metric
		sum.add(c.Figures)
	})
	if err == nil && metric != 0 {
		each(metric, &sum)
	}
	return err
}
