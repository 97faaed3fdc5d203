package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/reporterd/reporterd/spool/wal"
)

// FileState is the verdict about a file: what a start would do with it.
type FileState string

// The states of a file.
const (
	StateFine       FileState = "fine"
	StateInFlight   FileState = "in flight"  // its end is being written: not damaged
	StateTorn       FileState = "torn"       // its end would be truncated: it was never acknowledged
	StateDamaged    FileState = "damaged"    // ranges would be quarantined and their content lost
	StateShort      FileState = "short"      // it was longer, and was not closed: the content of the rest is unknown
	StateSuperseded FileState = "superseded" // a later file contains all of it again; it is ignored
	StateForeign    FileState = "foreign"    // written by another version; would be moved to quarantine/ unread
	StateGone       FileState = "gone"       // removed in the meantime: all of it was delivered
)

// FileReport is the result of Verify for a file.
type FileReport struct {
	File       string // relative to the data directory
	State      FileState
	Bytes      int64
	First      uint64      // of a segment: the sequence numbers of its entries
	Next       uint64      // of a segment: the number after its last entry
	Frames     int         // of a segment: those that are sound
	Superseded int64       // bytes at its end that a later file contains again
	Missing    int64       // bytes that were truncated from its end, or that a failed write did not write
	Damaged    []wal.Range // what would be quarantined
	Torn       []wal.Range // what would be truncated
	Detail     string      // an explanation; may be empty
}

// Verdict is the sum of a verification.
type Verdict struct {
	Files       int
	Frames      int
	Bytes       int64
	Letters     int // dead letters that are readable
	Damaged     int // files that are damaged, or with something missing before them
	Quarantined int // files in quarantine/ already
	InUse       bool
}

// inFlightTries and inFlightPause limit how long a frame may be incomplete before it is called torn.
const (
	inFlightTries = 5
	inFlightPause = 20 * time.Millisecond
)

// verification is one run of Verify.
type verification struct {
	ctx      context.Context
	options  InspectOptions
	spool    *Spool
	each     func(FileReport) error
	verdict  Verdict
	manifest manifestFacts // the manifest, read before the logs
	done     int64         // bytes of files that are finished
	total    int64
}

// Verify reads every frame and checksum and every dead letter. While it reads, it calls each with a report of every segment, and
// of the dead letters that cannot be read. It changes nothing and takes no lock, and its memory does not depend on the size of
// the directory. Files created in the meantime are not read. It ends early with ctx's error, or with an error of each.
func Verify(ctx context.Context, o InspectOptions, each func(FileReport) error) (Verdict, error) {
	o, err := o.checked()
	if err != nil {
		return Verdict{}, err
	}
	v := &verification{ctx: ctx, options: o, each: each}
	if v.verdict.InUse, _, err = inUse(o); err != nil {
		return v.verdict, err
	}
	v.spool, _ = openReadOnly(ctx, o)
	err = v.run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return v.verdict, err
}

func (v *verification) run() error {
	logs := v.spool.logs()
	found := &wal.Findings{}
	var err error
	if v.manifest, err = v.spool.manifest.load(); err != nil {
		return err
	}
	for _, l := range logs {
		if err := l.List(found); err != nil {
			return fmt.Errorf("spool: read %s: %w", l.Dir, err)
		}
		for _, s := range l.All() {
			v.total += s.Size
		}
	}
	for _, line := range found.Refused {
		name, why, _ := strings.Cut(line, ": ")
		why, _, _ = strings.Cut(why, ",")
		if err := v.report(FileReport{File: name, State: StateForeign, Detail: why}); err != nil {
			return err
		}
	}
	for _, l := range logs {
		if err := v.log(l); err != nil {
			return err
		}
	}
	return v.letters()
}

// log verifies the segments of a log, oldest first.
func (v *verification) log(l *wal.Log) error {
	reached := uint64(0) // the number after the last segment; 0: none was read
	segments := l.All()
	for i, s := range segments {
		limit := wal.NoLimit
		if i+1 < len(segments) {
			limit = segments[i+1].First
		}
		r, err := v.segment(l, s, limit)
		if err != nil {
			return err
		}
		if i == 0 {
			v.checkBeginning(l, &r)
		}
		if limit == wal.NoLimit {
			v.checkEnd(l, &r)
		}
		if reached > 0 && s.First > reached {
			r.State, r.Detail = StateDamaged, fmt.Sprintf("entries %d to %d are missing before it", reached, s.First-1)
		}
		if err := v.report(r); err != nil {
			return err
		}
		if r.State == StateGone {
			reached = 0 // its end is unknown
		} else {
			reached = max(reached, r.Next)
		}
		v.progress(s.Size)
		v.done += s.Size
	}
	return v.checkAbsent(l)
}

// segment verifies one file. If its end is incomplete while a daemon may be writing it, it is read again.
func (v *verification) segment(l *wal.Log, s *wal.Segment, limit uint64) (FileReport, error) {
	for try := 1; ; try++ {
		r, found, err := v.scan(l, s, limit)
		live := v.verdict.InUse && limit == wal.NoLimit
		suspect := len(found.Torn) > 0 || len(found.Damaged) > 0
		if err != nil || !live || !suspect || try == inFlightTries {
			if err == nil && live && len(found.Torn) > 0 && len(found.Damaged) == 0 {
				r.State, r.Torn, r.Detail = StateInFlight, nil, "its end is being written"
			}
			return r, err
		}
		select {
		case <-time.After(inFlightPause):
		case <-v.ctx.Done():
			return r, v.ctx.Err()
		}
	}
}

// scan reads a segment with the reader of recovery.
func (v *verification) scan(l *wal.Log, s *wal.Segment, limit uint64) (FileReport, *wal.Findings, error) {
	report := FileReport{File: filepath.Join(l.Dir, s.Name()), State: StateFine, Bytes: s.Size, First: s.First, Next: s.First}
	scanned, err := l.Scan(s, limit, func(_ *wal.Segment, f wal.Frame, offset int64, _ []byte, whole bool) {
		if whole {
			report.Frames++
		}
		v.progress(offset + f.Size())
	})
	found := &scanned.Found
	if v.ctx.Err() != nil {
		return report, found, v.ctx.Err()
	}
	if errors.Is(err, fs.ErrNotExist) {
		report.State, report.Detail = StateGone, "removed in the meantime: its entries were not needed any more"
		return report, found, nil
	}
	if err != nil {
		return report, found, fmt.Errorf("spool: read %s: %w", report.File, err)
	}
	report.Next, report.Torn, report.Damaged, report.Superseded = scanned.Next, found.Torn, found.Damaged, scanned.Superseded
	if len(found.Short) > 0 && !v.verdict.InUse { // a daemon truncates the reserved rest before it continues in another file
		report.Missing = found.Short[0].Bytes
	}
	report.judge()
	return report, found, nil
}

// judge sets state and detail from the ranges.
func (r *FileReport) judge() {
	switch {
	case len(r.Damaged) > 0:
		d := r.Damaged[0]
		r.State = StateDamaged
		r.Detail = fmt.Sprintf("%d bytes at offset %d would be quarantined", d.Bytes, d.Offset)
		if n := len(r.Damaged); n > 1 {
			r.Detail += fmt.Sprintf(", and %d ranges behind them", n-1)
		}
	case r.Missing > 0:
		r.State = StateShort
		r.Detail = fmt.Sprintf("%d bytes are missing at its end: what was in them is unknown", r.Missing)
	case len(r.Torn) > 0:
		r.State = StateTorn
		r.Detail = fmt.Sprintf("its end from offset %d on would be cut: it was never acknowledged", r.Torn[0].Offset)
	case r.Superseded > 0 && r.Frames == 0:
		r.State, r.Detail = StateSuperseded, "written again in a later file: ignored"
	case r.Superseded > 0:
		r.Detail = fmt.Sprintf("%d bytes at its end are superseded by a later file: ignored", r.Superseded)
	}
}

// letters reads every dead letter.
func (v *verification) letters() error {
	l := v.spool.letters
	entries, err := l.fs.ReadDir(filepath.Join(l.root, lettersDir))
	if err != nil {
		return fmt.Errorf("spool: dead letters: %w", err)
	}
	for _, e := range entries {
		if v.ctx.Err() != nil {
			return v.ctx.Err()
		}
		if !strings.HasSuffix(e.Name, letterSuffix) {
			continue
		}
		_, err := l.read(e)
		if err == nil {
			v.verdict.Letters++
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) { // requeued or dropped in the meantime
			continue
		}
		r := FileReport{File: filepath.Join(lettersDir, e.Name), State: StateDamaged, Bytes: e.Size, Detail: err.Error()}
		if err := v.report(r); err != nil {
			return err
		}
	}
	kept, err := l.fs.ReadDir(filepath.Join(l.root, wal.QuarantineDir))
	v.verdict.Quarantined = len(kept)
	return err
}

func (v *verification) report(r FileReport) error {
	v.verdict.Files++
	v.verdict.Frames += r.Frames
	v.verdict.Bytes += r.Bytes
	if r.State == StateDamaged || r.State == StateForeign || r.State == StateShort {
		v.verdict.Damaged++
	}
	r.Damaged, r.Torn = slices.Clone(r.Damaged), slices.Clone(r.Torn)
	return v.each(r)
}

func (v *verification) progress(inFile int64) {
	if v.options.Progress != nil {
		v.options.Progress(min(v.done+inFile, v.total), v.total)
	}
}
