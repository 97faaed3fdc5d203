package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/spool/disk"
)

const (
	lettersDir     = "deadletters"
	letterSuffix   = ".json"
	unfinished     = ".tmp"
	maxLetter      = 1 << 20 // bytes of a file that is read
	defaultLetters = 100     // of a page
	maxLetters     = 1000
)

// letters is the directory of dead letter files.
type letters struct {
	fs    disk.FS
	root  string
	quota *wal.Quota
	count atomic.Int64

	rejected *rejectedQuota // of letters of messages that were never acknowledged

	live func(BatchID) bool // reports whether a batch has not ended

	mu     sync.Mutex       // guards the fields below
	locked map[string]bool  // being requeued or dropped, or requeued and not yet removed: not listed
	ending map[BatchID]bool // their letters are being written, or stale ones removed: not listed
}

func (l *letters) path(name string) string { return filepath.Join(l.root, lettersDir, name) }

// write makes the files of dead letters durable, before the record that counts them (I15). A file is named by its letter's id, so
// that writing it again after a crash has the same result.
func (l *letters) write(b *Batch, info BatchInfo, dead []DeadLetter) error {
	for _, d := range dead {
		id := letterID(b.ID, d.Index)
		if err := l.put(id, newLetter(b, info, id, d)); err != nil {
			return fmt.Errorf("spool: dead letter %s: %w", id, err)
		}
	}
	if len(dead) == 0 {
		return nil
	}
	if err := l.fs.SyncDir(filepath.Join(l.root, lettersDir)); err != nil {
		return fmt.Errorf("spool: dead letters of batch %s: %w", b.ID, err)
	}
	return nil
}

// letterID names the dead letter of a transaction.
func letterID(batch BatchID, index int) string { return fmt.Sprintf("%s-%04d", batch, index) }

// put writes a file under a temporary name, syncs it and renames it: a reader finds a complete letter or none.
func (l *letters) put(id string, letter letterFile) error {
	data, err := json.MarshalIndent(letter, "", "  ")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	name, temporary := l.path(id+letterSuffix), l.path(id+unfinished)
	kept, err := l.has(name)
	if err != nil {
		return err
	}
	f, err := l.fs.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, l.fs.Remove(temporary))
	}
	if !kept {
		l.charge(id, int64(len(data)))
	}
	return l.fs.Rename(temporary, name)
}

// has reports whether a file exists. It is in the quota then, and is not charged again.
func (l *letters) has(name string) (bool, error) {
	f, err := l.fs.OpenFile(name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, f.Close()
}

// measure counts the existing letters, and removes unfinished files.
func (l *letters) measure() error {
	entries, err := l.fs.ReadDir(filepath.Join(l.root, lettersDir))
	for _, e := range entries {
		if strings.HasSuffix(e.Name, unfinished) {
			_ = l.fs.Remove(l.path(e.Name))
			continue
		}
		l.charge(e.Name, e.Size)
	}
	return err
}

// stale lists the letters for which is returns true. At a start those are the letters of live batches: the record that was to end
// the batch is not on disk, and the sender's next decision may differ.
func (l *letters) stale(is func(batch BatchID, letter string) bool) (files []disk.Entry, err error) {
	entries, err := l.fs.ReadDir(filepath.Join(l.root, lettersDir))
	for _, e := range entries {
		if id, ok := batchOfLetter(e.Name); ok && is(id, strings.TrimSuffix(e.Name, letterSuffix)) {
			files = append(files, e)
		}
	}
	return files, err
}

// removeFiles removes files of letters. It returns once that is durable.
func (l *letters) removeFiles(files []disk.Entry) error {
	var err error
	for _, e := range files {
		if failed := l.fs.Remove(l.path(e.Name)); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		l.refund(e.Name, e.Size)
	}
	if len(files) > 0 {
		err = errors.Join(err, l.fs.SyncDir(filepath.Join(l.root, lettersDir)))
	}
	return err
}

// batchOfLetter returns the batch's id from a letter's file name.
func batchOfLetter(name string) (BatchID, bool) {
	name, ok := strings.CutSuffix(name, letterSuffix)
	last := strings.LastIndexByte(name, '-')
	if !ok || last < 0 {
		return BatchID{}, false
	}
	id, err := ParseBatchID(name[:last])
	return id, err == nil
}

// page reads the selected letters behind a cursor.
func (l *letters) page(q DeadLetterQuery) (page []DeadLetter, next string, err error) {
	entries, err := l.fs.ReadDir(filepath.Join(l.root, lettersDir))
	if err != nil {
		return nil, "", fmt.Errorf("spool: dead letters: %w", err)
	}
	if q.Limit <= 0 {
		q.Limit = defaultLetters
	}
	q.Limit = min(q.Limit, maxLetters)
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name, letterSuffix)
		if !ok || id <= q.Cursor || l.hidden(id) {
			continue
		}
		d, err := l.read(e)
		if errors.Is(err, fs.ErrNotExist) {
			err = l.removed(e.Name, err)
		}
		if err != nil && !errors.Is(err, errNoLetter) {
			return nil, "", fmt.Errorf("spool: dead letter %s: %w", id, err)
		}
		if d == nil || !q.matches(&d.DeadLetter) {
			continue
		}
		if len(page) == q.Limit {
			return page, page[len(page)-1].ID, nil
		}
		page = append(page, d.DeadLetter)
	}
	return page, "", nil
}

// removed returns nil when a file that could not be opened was removed after it was listed: a new listing does not contain it.
func (l *letters) removed(name string, missing error) error {
	entries, err := l.fs.ReadDir(filepath.Join(l.root, lettersDir))
	if err != nil {
		return err
	}
	if slices.ContainsFunc(entries, func(e disk.Entry) bool { return e.Name == name }) {
		return missing
	}
	return nil
}

// read reads one letter.
func (l *letters) read(e disk.Entry) (*letterFile, error) {
	if e.Size > maxLetter {
		return nil, errNoLetter
	}
	f, err := l.fs.OpenFile(l.path(e.Name), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	data := make([]byte, e.Size)
	n, err := f.ReadAt(data, 0)
	if n == len(data) {
		err = nil
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	d := new(letterFile)
	if err := json.Unmarshal(data, d); err != nil {
		return nil, errNoLetter
	}
	d.ID = strings.TrimSuffix(e.Name, letterSuffix)
	return d, nil
}
