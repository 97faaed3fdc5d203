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

	foreign bool // the directory is another process's: each first page lists it

	mu     sync.Mutex       // guards the fields below
	index  letterIndex      // the files of letters
	learnt string           // the id up to which learnSome has read
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
	l.add(id, int64(len(data)), &letter.DeadLetter) // before the rename, which may have happened although it failed
	return l.fs.Rename(temporary, name)
}

// add adds a file to the index and to the quota. A file that is replaced is in both, and is not counted again.
func (l *letters) add(id string, size int64, d *DeadLetter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.index.find(id)
	if was != nil {
		l.refund(id, was.size)
	}
	l.charge(id, size)
	added := indexedLetter{id: id, size: size}
	if d != nil {
		l.index.describe(&added, d)
	}
	l.index.put(added)
}

// forget removes a letter whose file is gone from the index and from the quota.
func (l *letters) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.index.find(id); known != nil {
		l.refund(id, known.size)
		l.index.remove(id)
	}
}

// measure counts the existing letters, and removes unfinished files.
func (l *letters) measure() error {
	entries, err := l.fs.ReadDir(filepath.Join(l.root, lettersDir))
	for _, e := range entries {
		switch id, ok := letterOf(e.Name); {
		case strings.HasSuffix(e.Name, unfinished):
			_ = l.fs.Remove(l.path(e.Name))
		case ok:
			l.add(id, e.Size, nil)
		default:
			l.charge(e.Name, e.Size)
		}
	}
	return err
}

// list reads the directory of another process anew. What is known of letters that are still there is kept.
func (l *letters) list() error {
	entries, err := l.fs.ReadDir(filepath.Join(l.root, lettersDir))
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := letterIndex{kinds: l.index.kinds, numbers: l.index.numbers}
	for _, e := range entries {
		if id, ok := letterOf(e.Name); ok {
			letter := indexedLetter{id: id, size: e.Size}
			if known := l.index.find(id); known != nil && known.size == e.Size {
				letter = *known
			}
			now.put(letter)
		}
	}
	l.index = now
	return nil
}

// letterOf returns the id of the letter of a file, by the file's name.
func letterOf(name string) (id string, ok bool) {
	id, ok = strings.CutSuffix(name, letterSuffix)
	_, ofBatch := batchOfLetter(name)
	return id, ok && (ofBatch || isOriginal(id))
}

// stale lists the letters for which is returns true. At a start those are the letters of live batches: the record that was to end
// the batch is not on disk, and the sender's next decision may differ.
func (l *letters) stale(is func(batch BatchID) bool) (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index.each("", func(e *indexedLetter) bool {
		if batch, ok := batchOfLetter(e.id + letterSuffix); ok && is(batch) {
			ids = append(ids, e.id)
		}
		return true
	})
	return ids
}

// ofBatch lists the letters of a batch, whose ids stand behind each other.
func (l *letters) ofBatch(batch BatchID) (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	prefix := batch.String() + "-"
	l.index.each(prefix, func(e *indexedLetter) bool {
		more := strings.HasPrefix(e.id, prefix)
		if more {
			ids = append(ids, e.id)
		}
		return more
	})
	return ids
}

// removeFiles removes files of letters. It returns once that is durable.
func (l *letters) removeFiles(ids []string) error {
	var err error
	for _, id := range ids {
		failed := l.fs.Remove(l.path(id + letterSuffix))
		if errors.Is(failed, fs.ErrNotExist) {
			failed = l.removed(id+letterSuffix, failed)
		}
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		l.forget(id)
	}
	if len(ids) > 0 {
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
	if l.foreign && q.Cursor == "" {
		if err := l.list(); err != nil {
			return nil, "", fmt.Errorf("spool: dead letters: %w", err)
		}
	}
	if q.Limit <= 0 {
		q.Limit = defaultLetters
	}
	q.Limit = min(q.Limit, maxLetters)
	for {
		some := l.candidates(&q, q.Limit+1-len(page))
		for _, e := range some {
			q.Cursor = e.id
			d, err := l.selected(q, e)
			if err != nil {
				return nil, "", fmt.Errorf("spool: dead letter %s: %w", e.id, err)
			}
			if d == nil {
				continue
			}
			if len(page) == q.Limit {
				return page, page[len(page)-1].ID, nil
			}
			page = append(page, *d)
		}
		if len(some) == 0 {
			return page, "", nil
		}
	}
}

// candidates returns the next letters behind the query's cursor that it may select.
func (l *letters) candidates(q *DeadLetterQuery, n int) []indexedLetter {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.after(q, n)
}

// selected reads a letter. Without an error it returns nil if the letter is hidden, not readable, gone, or not selected.
func (l *letters) selected(q DeadLetterQuery, e indexedLetter) (*DeadLetter, error) {
	if l.hidden(e.id) {
		return nil, nil
	}
	name := e.id + letterSuffix
	d, err := l.read(disk.Entry{Name: name, Size: e.size})
	if errors.Is(err, fs.ErrNotExist) {
		if err = l.removed(name, err); err == nil {
			l.forget(e.id)
		}
	}
	switch {
	case err != nil && !errors.Is(err, errNoLetter):
		return nil, err
	case d == nil:
		return nil, nil
	}
	if e.kind == 0 {
		l.learn(e.id, &d.DeadLetter)
	}
	if !q.matches(&d.DeadLetter) {
		return nil, nil
	}
	return &d.DeadLetter, nil
}

// learn notes by what a letter is filtered.
func (l *letters) learn(id string, d *DeadLetter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.index.find(id); known != nil {
		l.index.describe(known, d)
	}
}

// learnSome reads the next letters of which it is not known by what they are filtered: after a start, all of them. What cannot be
// read is left to the queries.
func (l *letters) learnSome(n int) {
	for n > 0 {
		l.mu.Lock()
		next, more := "", false
		l.index.each(l.learnt, func(e *indexedLetter) bool {
			l.learnt = e.id + "\x00"
			next, more = e.id, e.kind == 0
			return !more
		})
		l.mu.Unlock()
		if !more {
			return
		}
		if d, err := l.read(disk.Entry{Name: next + letterSuffix}); err == nil {
			l.learn(next, &d.DeadLetter)
		}
		n--
	}
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
	f, err := l.fs.OpenFile(l.path(e.Name), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	data, err := readWhole(f)
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

// readWhole reads a letter's file as it is now: an operator may have edited it.
func readWhole(f disk.File) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > maxLetter {
		return nil, errNoLetter
	}
	data := make([]byte, size)
	if n, err := f.ReadAt(data, 0); n < len(data) {
		return nil, err
	}
	return data, nil
}
