package spool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reporterd/reporterd/spool/disk"
)

// errNoLetter is the error for a file that is not a dead letter, or is incomplete.
var errNoLetter = errors.New("not a readable dead letter")

// lock locks a letter for a requeue or drop, and reads it. Until unlock, other calls neither lock nor list it. A file that is not
// a readable letter is locked too, with errNoLetter; after other errors it is not locked.
func (l *letters) lock(id string) (letterFile, error) {
	if !l.tryLock(id) {
		return letterFile{}, ErrUnknownLetter
	}
	f, err := l.load(id)
	if err != nil && !errors.Is(err, errNoLetter) {
		l.unlock(id)
	}
	return f, err
}

func (l *letters) unlock(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.locked, id)
}

// tryLock locks a letter, unless it is hidden.
func (l *letters) tryLock(id string) bool {
	ended := l.batchEnded(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !ended || l.busyLocked(id) {
		return false
	}
	l.locked[id] = true
	return true
}

// hidden reports whether a letter is locked, or its batch has not ended.
func (l *letters) hidden(id string) bool {
	ended := l.batchEnded(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	return !ended || l.busyLocked(id)
}

// batchEnded reports whether the batch of a letter has ended. Until then the letter may be of a Resolve that failed, and its
// events may be reported again. It is called before busyLocked: Resolve keeps ending set until the letters of an earlier attempt
// are removed.
func (l *letters) batchEnded(id string) bool {
	batch, ok := batchOfLetter(id + letterSuffix)
	return ok && !l.live(batch) || isOriginal(id)
}

// busyLocked reports whether a letter is locked or the letters of its batch are being written.
func (l *letters) busyLocked(id string) bool {
	batch, _ := batchOfLetter(id + letterSuffix)
	return l.locked[id] || l.ending[batch]
}

// hideEnding hides the letters of a batch until the caller calls ended.
func (l *letters) hideEnding(batch BatchID) (ended func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending[batch] = true
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.ending, batch)
	}
}

// get reads a letter that is not hidden.
func (l *letters) get(id string) (letterFile, error) {
	if l.hidden(id) {
		return letterFile{}, ErrUnknownLetter
	}
	return l.load(id)
}

// load reads the file of a letter.
func (l *letters) load(id string) (letterFile, error) {
	size, err := l.size(id)
	if err != nil {
		return letterFile{}, err
	}
	f, err := l.read(disk.Entry{Name: id + letterSuffix, Size: size})
	if err != nil {
		return letterFile{}, err
	}
	return *f, nil
}

// maxLetterID is the maximum length of an id, in bytes: with its suffix it is a file name.
const maxLetterID = 200

// size returns the size of a letter's file. If the id is not that of a letter, the error is ErrUnknownLetter, also where a file
// of that path exists.
func (l *letters) size(id string) (int64, error) {
	if _, ok := batchOfLetter(id + letterSuffix); !ok && !isOriginal(id) || id != filepath.Base(id) {
		return 0, ErrUnknownLetter
	}
	if len(id) > maxLetterID || strings.ContainsRune(id, 0) {
		return 0, ErrUnknownLetter
	}
	f, err := l.fs.OpenFile(l.path(id+letterSuffix), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, ErrUnknownLetter
	}
	if err != nil {
		return 0, err
	}
	size, err := f.Size()
	return size, errors.Join(err, f.Close())
}

// remove deletes a letter's file; the removal is durable after sync.
func (l *letters) remove(id string) error {
	_, err := l.size(id)
	if err == nil {
		err = l.fs.Remove(l.path(id + letterSuffix))
	}
	if err != nil {
		return err
	}
	l.forget(id)
	return nil
}

// absent returns those of the letters that the listing of the directory does not contain. If the directory cannot be listed, it
// returns none: a file in a missing directory does not count as removed (I17).
func (l *letters) absent(ids []string) []string {
	if len(ids) == 0 {
		return nil
	}
	entries, err := l.fs.ReadDir(filepath.Join(l.root, lettersDir))
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(ids, func(id string) bool {
		_, listed := slices.BinarySearchFunc(entries, id+letterSuffix, func(e disk.Entry, name string) int { return strings.Compare(e.Name, name) })
		return listed
	})
}

func (l *letters) sync() error { return l.fs.SyncDir(filepath.Join(l.root, lettersDir)) }
