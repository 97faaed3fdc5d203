package spool

import (
	"fmt"
	"path/filepath"

	"github.com/reporterd/reporterd/spool/wal"
)

// claimed returns what the manifest claims of a log: the sequence number behind its last durable entry, and the first one that is
// still needed. Without a manifest both are 0.
func (r *manifestFacts) claimed(kind wal.Kind) (from, next uint64) {
	if !r.found {
		return 0, 0
	}
	if kind == wal.Journal {
		from = uint64(r.committed) + 1
	}
	return from, r.logs[kind-1].Next
}

// durable returns up to where a log was durable when the manifest was written. The files of a copy or a restored directory are of
// different moments, and nothing is known about them.
func (r *manifestFacts) durable(kind wal.Kind) wal.Extent {
	if !r.found || r.copied || r.restored != "" {
		return wal.Extent{}
	}
	return r.logs[kind-1]
}

// checkEnd adds to the report of a log's newest segment which entries the manifest knows behind it. The manifest was read before
// the log, so a log in use has at least as much.
func (v *verification) checkEnd(l *wal.Log, r *FileReport) {
	from, next := v.manifest.claimed(l.Kind)
	if first := max(r.Next, from); r.State != StateGone && next > first {
		r.State = StateDamaged
		r.Detail = fmt.Sprintf("entries %d to %d, which were durable, are missing behind it", first, next-1)
	}
}

// checkBeginning adds to the report of a log's oldest segment what is missing before it. A directory in use is not checked: the segment
// may have been removed since the manifest was read.
func (v *verification) checkBeginning(l *wal.Log, r *FileReport) {
	if was := v.manifest.logs[l.Kind-1].First; l.Kind != wal.Journal && v.manifest.exact && !v.verdict.InUse && was > 0 && was < r.First {
		r.State, r.Detail = StateDamaged, fmt.Sprintf("entries %d to %d, which were durable, are missing before it", was, r.First-1)
	}
	if from, next := v.manifest.claimed(l.Kind); l.Kind == wal.Journal && next > 0 && r.First > from && !v.verdict.InUse {
		r.State, r.Detail = StateDamaged, fmt.Sprintf("entries %d to %d, which no batch holds, are missing before it", from, r.First-1)
	}
}

// checkAbsent reports a log without any segment, if the manifest knows of entries in it.
func (v *verification) checkAbsent(l *wal.Log) error {
	from, next := v.manifest.claimed(l.Kind)
	if first := max(from, 1); len(l.All()) == 0 && next > first {
		return v.report(FileReport{
			File: l.Dir + string(filepath.Separator), State: StateDamaged, First: first, Next: next,
			Detail: fmt.Sprintf("all segments are missing: entries %d to %d were durable", first, next-1),
		})
	}
	return nil
}
