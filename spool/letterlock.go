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

// errNoLetter is the error of a file that is no dead letter, or not a whole one.
var errNoLetter = errors.New("not a readable dead letter")

// claim takes a letter for whoever requeues or drops it, and reads it. Until release nobody else gets or sees
// it. A file that cannot be read as a letter is claimed too, with errNoLetter; on other errors nothing is.
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

// take claims a letter, unless it is hidden.
func (l *letters) tryLock(id string) bool {
	meant := l.batchEnded(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !meant || l.busyLocked(id) {
		return false
	}
	l.locked[id] = true
	return true
}

// hidden reports whether a letter is claimed, or its batch has yet to end.
func (l *letters) hidden(id string) bool {
	meant := l.batchEnded(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	return !meant || l.busyLocked(id)
}

// meant reports whether the batch of a letter has ended: before that the letter may be of an end that did not
// happen, and its events may be reported again. It is asked before busy: whoever ends a batch is busy with its
// letters until only those are left that are meant.
func (l *letters) batchEnded(id string) bool {
	batch, ok := batchOfLetter(id + letterSuffix)
	return ok && !l.live(batch) || isOriginal(id)
}

// busy reports whether somebody is at a letter. mu is held.
func (l *letters) busyLocked(id string) bool {
	batch, _ := batchOfLetter(id + letterSuffix)
	return l.locked[id] || l.ending[batch]
}

// end hides the letters of a batch until the function it returns is called.
func (l *letters) end(batch BatchID) (ended func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending[batch] = true
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.ending, batch)
	}
}

// get reads a letter that is not claimed.
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

// maxLetterID bounds an id, in bytes: with its suffix it names a file.
const maxLetterID = 200

// size returns the size of a letter's file. An id that is no letter's has none, whatever path it spells.
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

// remove deletes a letter's file; durable after sync.
func (l *letters) remove(id string) error {
	size, err := l.size(id)
	if err == nil {
		err = l.fs.Remove(l.path(id + letterSuffix))
	}
	if err != nil {
		return err
	}
	l.refund(id, size)
	return nil
}

// absent returns those of the letters that a listing of the directory does not have. Where there is no listing, that is
// none: a file that cannot be found is not gone when its directory cannot be found either (I17).
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
