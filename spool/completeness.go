package spool

import (
	"fmt"
	"path/filepath"

	"github.com/reporterd/reporterd/spool/wal"
)

// vouched returns the sequence number behind the last one that a log is known to have held durably, and the
// first one that still matters: 0 and 0 when there is no manifest.
func (r *manifestFacts) vouched(kind wal.Kind) (from, next uint64) {
	if !r.known {
		return 0, 0
	}
	if kind == wal.Journal {
		from = uint64(r.committed) + 1
	}
	return from, r.logs[kind-1].Next
}

// completes adds to the report of a log's newest segment what the manifest knows to have been behind it. The
// manifest was read before the log was, so a log in use has at least that much.
func (v *verification) completes(l *wal.Log, r *FileReport) {
	from, next := v.known.vouched(l.Kind)
	if first := max(r.Next, from); r.State != StateGone && next > first {
		r.State = StateDamaged
		r.Detail = fmt.Sprintf("entries %d to %d, which were durable, are missing behind it", first, next-1)
	}
}

// begins adds to the report of a log's oldest segment what is missing before it. In a directory in use it may have been
// removed since the manifest was read.
func (v *verification) begins(l *wal.Log, r *FileReport) {
	if was := v.known.logs[l.Kind-1].First; l.Kind != wal.Journal && v.known.exact && !v.verdict.InUse && was > 0 && was < r.First {
		r.State, r.Detail = StateDamaged, fmt.Sprintf("entries %d to %d, which were durable, are missing before it", was, r.First-1)
	}
	if from, next := v.known.vouched(l.Kind); l.Kind == wal.Journal && next > 0 && r.First > from && !v.verdict.InUse {
		r.State, r.Detail = StateDamaged, fmt.Sprintf("entries %d to %d, which no batch holds, are missing before it", from, r.First-1)
	}
}

// absent reports a log of which no segment is left although the manifest knows of entries.
func (v *verification) absent(l *wal.Log) error {
	from, next := v.known.vouched(l.Kind)
	if first := max(from, 1); len(l.All()) == 0 && next > first {
		return v.report(FileReport{
			File: l.Dir + string(filepath.Separator), State: StateDamaged, First: first, Next: next,
			Detail: fmt.Sprintf("all segments are missing: entries %d to %d were durable", first, next-1),
		})
	}
	return nil
}
