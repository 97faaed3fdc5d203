package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/spool/disk"
)

// write copies the ledger, and returns once that is durable. After an error the copy before is still there.
func (c *copied) write(ctx context.Context, l *Ledger) error {
	next := &copied{fs: c.fs, salt: c.salt, last: c.last}
	w := &copyWriter{ctx: ctx, old: c, now: next, sparse: c.sparse()}
	defer w.close()
	err := l.view(func(tx *bbolt.Tx) error {
		now, err := readState(tx)
		if err != nil {
			return err
		}
		if next.place, next.size = now.next, tx.Size(); next.size > 0 {
			if err := c.roomFor(next.size); err != nil {
				return err
			}
		}
		_, err = tx.WriteTo(w)
		return errors.Join(err, w.end())
	})
	if err == nil {
		err = next.publish()
	}
	if err != nil {
		_ = c.removeOld() // what is left, the next copy removes
		return err
	}
	c.blocks, c.size, c.place, c.last = next.blocks, next.size, next.place, next.last
	return c.removeOld()
}

// roomFor returns an error if a copy of the file might leave too little space to events. It assumes that all blocks have changed.
func (c *copied) roomFor(size int64) error {
	free, total, err := c.fs.Free(copyDir)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if free-size < total/copyRoom {
		return fmt.Errorf("ledger: no room for %d bytes: an eighth of the disk is for events", size)
	}
	return nil
}

// sparse returns the files whose blocks are to be written again, so that the files together are at most twice as large as the copy.
func (c *copied) sparse() map[uint64]bool {
	type usage struct{ size, live int64 }
	files := make(map[uint64]*usage)
	for _, b := range c.blocks {
		if files[b.file] == nil {
			files[b.file] = new(usage)
		}
		files[b.file].live += copyBlock
	}
	all, err := c.fs.ReadDir(copyDir)
	if err != nil {
		return nil
	}
	stored := int64(0)
	for _, e := range all {
		var n uint64
		if _, err := fmt.Sscanf(e.Name, "%016x.blocks", &n); err == nil && files[n] != nil {
			files[n].size, stored = e.Size, stored+e.Size
		}
	}
	order := slices.SortedFunc(maps.Keys(files), func(a, b uint64) int { // the most dead bytes first
		return cmp.Or(cmp.Compare(files[a].live-files[a].size, files[b].live-files[b].size), cmp.Compare(a, b))
	})
	chosen := make(map[uint64]bool)
	for _, n := range order {
		if stored <= 2*c.size+copyFile {
			break
		}
		chosen[n] = true
		stored -= files[n].size - files[n].live
	}
	return chosen
}

// copySome writes a copy if there is something new and it is time for one, and lets the spool forget what the copy contains.
func (r *run) copySome(ctx context.Context) {
	c := r.copy
	if c == nil || r.durable <= c.place || time.Now().Before(c.due) || r.readable() != nil {
		return
	}
	begun := time.Now()
	err := c.write(ctx, r.Ledger)
	c.due = time.Now().Add(max(copyEvery, copyShare*time.Since(begun)))
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && !c.failed:
		c.failed = true
		r.options.Log.Error("cannot copy the ledger to the partition's disk, retrying: the batch log keeps what the copy lacks", zap.Error(err))
	case err == nil && c.failed:
		c.failed = false
		r.options.Log.Info("the ledger can be copied to the partition's disk again")
	}
	if c.place > 0 {
		r.spool.Booked(c.place)
	}
}

// release lets the spool forget what is booked; where there is a copy, only what the copy contains (copySome).
func (r *run) release(next uint64) {
	if r.copy == nil {
		r.spool.Booked(next)
	}
}

// patience is how long Run waits for records at most.
func (r *run) patience() time.Duration {
	switch {
	case !r.upgrade.done || r.readable() != nil || r.hasWaiting() || r.filing:
		return upgradePause
	case r.copy != nil && r.durable > r.copy.place:
		return min(max(time.Until(r.copy.due), upgradePause), pruneEvery)
	}
	return pruneEvery
}

// copyWriter divides what is written to it into blocks, and stores those that have changed.
type copyWriter struct {
	ctx      context.Context
	old, now *copied
	sparse   map[uint64]bool

	part   []byte // of the next block
	file   disk.File
	offset int64 // in file
}

// Write implements io.Writer.
func (w *copyWriter) Write(data []byte) (int, error) {
	for rest := data; len(rest) > 0; {
		n := min(len(rest), copyBlock-len(w.part))
		w.part, rest = append(w.part, rest[:n]...), rest[n:]
		if len(w.part) == copyBlock {
			if err := w.put(); err != nil {
				return 0, err
			}
		}
	}
	return len(data), nil
}

// put stores the block that is complete, unless the copy before has it.
func (w *copyWriter) put() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	c := w.now
	i, sum := len(c.blocks), c.sumOf(w.part)
	if i < len(w.old.blocks) && w.old.blocks[i].sum == sum && !w.sparse[w.old.blocks[i].file] {
		c.blocks, w.part = append(c.blocks, w.old.blocks[i]), w.part[:0]
		return nil
	}
	if w.file == nil {
		f, err := c.fs.OpenFile(c.file(c.last+1)+copyNew, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		w.file, w.offset, c.last = f, 0, c.last+1
	}
	if _, err := w.file.WriteAt(w.part, w.offset); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	c.blocks = append(c.blocks, block{c.last, w.offset, sum})
	w.offset, w.part = w.offset+int64(len(w.part)), w.part[:0]
	if w.offset < copyFile {
		return nil
	}
	return w.complete()
}

// complete makes the file that is being written durable, and gives it its name.
func (w *copyWriter) complete() error {
	f, name := w.file, w.now.file(w.now.last)
	w.file = nil
	err := f.Sync()
	if err = errors.Join(err, f.Close()); err == nil {
		err = w.now.fs.Rename(name+copyNew, name)
	}
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

// end stores the rest.
func (w *copyWriter) end() error {
	if len(w.part) > 0 {
		if err := w.put(); err != nil {
			return err
		}
	}
	if w.file == nil {
		return nil
	}
	return w.complete()
}

func (w *copyWriter) close() {
	if w.file != nil {
		_ = w.file.Close()
	}
}
