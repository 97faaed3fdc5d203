package ledger

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/spool/disk"
)

// A ledger's file is on the machine of the replica that owns the partition. What the next owner needs of it is in a copy on the
// partition's disk (Options.Copy), which is divided into blocks. A new copy writes the blocks that have changed into new files, and
// then an index, which says where each block is. The index replaces the one before in one step: a copy is there whole, or the one
// before is. Until a copy contains what was booked, the spool keeps the records that it was booked from.
//
// Files of blocks fit into one message each and get their name when they are complete, so that jetdisk seals them: a takeover of the
// partition does not read them.

const (
	copyDir   = "/ledger"
	copyIndex = "index"
	copyNew   = ".new" // ends the name of a file that is being written

	copyBlock = 64 << 10      // bytes of a block
	copyFile  = 6 * copyBlock // bytes of a file

	// copyEvery is the pause between two copies; copyShare says that copying takes at most one part in so many of the time.
	copyEvery = 15 * time.Second
	copyShare = 20

	// copyRoom is the part (1/8) of the disk that a copy leaves to events.
	copyRoom = 8
)

// errCopy says that a copy is damaged.
var errCopy = fmt.Errorf("%w: the copy for the next owner", errDamaged)

// copied is the copy of a ledger on a disk. It is for one goroutine.
type copied struct {
	fs     disk.FS
	salt   [16]byte // of the sums of blocks
	blocks []block
	size   int64     // of the ledger's file
	place  uint64    // the first record of the batch log that it does not contain
	last   uint64    // number of the newest file of blocks
	due    time.Time // when the next one may be written
	failed bool      // the last one could not be written
}

// block is where a block of the ledger's file is, and its sum.
type block struct {
	file   uint64
	offset int64
	sum    [16]byte
}

func (c *copied) path(name string) string { return filepath.Join(copyDir, name) }

func (c *copied) file(n uint64) string { return c.path(fmt.Sprintf("%016x.blocks", n)) }

func (c *copied) sumOf(data []byte) (sum [16]byte) {
	h := sha256.New()
	_, _ = h.Write(c.salt[:]) // never fails
	_, _ = h.Write(data)
	copy(sum[:], h.Sum(nil))
	return sum
}

// openCopy reads the index of a copy. Where there is none, the copy is empty.
func openCopy(fs disk.FS) (*copied, error) {
	c := &copied{fs: fs}
	_, _ = rand.Read(c.salt[:]) // never fails; an index has its own
	if err := fs.MkdirAll(copyDir, 0o700); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	data, err := c.read(c.path(copyIndex))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return c, nil
	case err != nil:
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return c, c.decode(data)
}

// read returns the content of a file.
func (c *copied) read(name string) ([]byte, error) {
	f, err := c.fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	_, err = f.ReadAt(data, 0)
	if size == 0 {
		err = nil
	}
	return data, err
}

// copyMagic begins an index, and copyEntry is the size of a block's entry in it.
const (
	copyMagic = "RLC1"
	copyHead  = len(copyMagic) + 16 + 8 + 8 + 8
	copyEntry = 8 + 8 + 16
)

func (c *copied) encode() []byte {
	out := append([]byte(copyMagic), c.salt[:]...)
	for _, n := range [...]uint64{uint64(c.size), c.place, c.last} {
		out = binary.LittleEndian.AppendUint64(out, n)
	}
	for _, b := range c.blocks {
		out = binary.LittleEndian.AppendUint64(out, b.file)
		out = append(binary.LittleEndian.AppendUint64(out, uint64(b.offset)), b.sum[:]...)
	}
	return binary.LittleEndian.AppendUint32(out, checksum(nil, out))
}

func (c *copied) decode(data []byte) error {
	n := len(data) - 4
	if n < copyHead || (n-copyHead)%copyEntry != 0 || string(data[:4]) != copyMagic || binary.LittleEndian.Uint32(data[n:]) != checksum(nil, data[:n]) {
		return errCopy
	}
	le, head := binary.LittleEndian, data[len(copyMagic):]
	copy(c.salt[:], head)
	c.size, c.place, c.last = int64(le.Uint64(head[16:])), le.Uint64(head[24:]), le.Uint64(head[32:])
	for at := copyHead; at < n; at += copyEntry {
		b := block{file: le.Uint64(data[at:]), offset: int64(le.Uint64(data[at+8:]))}
		copy(b.sum[:], data[at+16:])
		c.blocks = append(c.blocks, b)
	}
	return nil
}

// restore writes the copy to a local file, durably, in place of what is there. Without a copy it removes the file: what another owner
// booked since is not in it. An error that is not errCopy says nothing about the copy.
func (c *copied) restore(ctx context.Context, path string) (err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("ledger: %w", err)
	}
	if len(c.blocks) == 0 {
		return nil
	}
	fresh := path + ".restored"
	f, err := os.OpenFile(fresh, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // #nosec G304 -- the ledger's own file
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	err = c.each(ctx, func(data []byte) error { _, err := w.Write(data); return err })
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return os.Rename(fresh, path)
}

// each calls take with every block, in order.
func (c *copied) each(ctx context.Context, take func([]byte) error) error {
	buf := make([]byte, copyBlock)
	for i, b := range c.blocks {
		data := buf[:min(copyBlock, c.size-int64(i)*copyBlock)]
		if err := c.block(b, data); err != nil {
			return err
		}
		if err := errors.Join(ctx.Err(), take(data)); err != nil {
			return err
		}
	}
	return nil
}

// block reads a block.
func (c *copied) block(b block, data []byte) error {
	f, err := c.fs.OpenFile(c.file(b.file), os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return errCopy
	}
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.ReadAt(data, b.offset); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if c.sumOf(data) != b.sum {
		return errCopy
	}
	return nil
}

// publish replaces the index.
func (c *copied) publish() error {
	fresh := c.path(copyIndex + copyNew)
	f, err := c.fs.OpenFile(fresh, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	_, err = f.WriteAt(c.encode(), 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close(), c.fs.SyncDir(copyDir)); err == nil { // the files of blocks have their names before the index does
		err = c.fs.Rename(fresh, c.path(copyIndex))
	}
	if err == nil {
		err = c.fs.SyncDir(copyDir)
	}
	return err
}

// removeOld removes the files that have no block of the copy.
func (c *copied) removeOld() error {
	used := map[string]bool{copyIndex: true}
	for _, b := range c.blocks {
		used[filepath.Base(c.file(b.file))] = true
	}
	all, err := c.fs.ReadDir(copyDir)
	for _, e := range all {
		if !used[e.Name] {
			err = errors.Join(err, c.fs.Remove(c.path(e.Name)))
		}
	}
	return err
}

// restore puts the copy on Options.Copy in place of the file. complete is false if the copy is damaged, and nothing is left of it.
func (l *Ledger) restore(ctx context.Context) (complete bool, err error) {
	if l.options.Copy == nil {
		return true, nil
	}
	l.days.removeAll() // of another file
	c, err := openCopy(l.options.Copy)
	if err == nil {
		err = c.restore(ctx, l.path())
	}
	if errors.Is(err, errCopy) {
		l.options.Log.Error("the copy of the ledger on the partition's disk is damaged: the ledger begins with what the batch log has", zap.Error(err))
		l.copy = &copied{fs: l.options.Copy, salt: c.salt, last: c.last}
		return false, nil
	}
	l.copy = c
	return true, err
}

// setMissed marks the ledger as incomplete, durably.
func (l *Ledger) setMissed() error {
	err := l.update(func(tx *bbolt.Tx) error {
		now, err := readState(tx)
		if err != nil {
			return err
		}
		now.missed = true
		return now.write(tx)
	})
	if err == nil {
		l.updateStats(func(s *Stats) { s.Missed = true })
	}
	return err
}
