package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/spool/disk"
)

// manifestNames are the two files of the manifest. Each contains a complete one; the higher generation counts.
var manifestNames = [2]string{"manifest.a", "manifest.b"}

// manifest records how far the logs go, outside of the logs, so that a start notices what is missing from them. All methods may
// be called concurrently; those of a nil manifest do nothing.
//
// The order of writes makes it a lower bound at every moment. note is called after the fdatasync of a group and before its
// producers get their answer: the manifest never claims a frame that is not durable, and after a kill (the page cache stays) it
// covers every frame that was acknowledged. After a loss of power it is as old as its last sync, at most two seconds. It costs a
// commit one write into the page cache, of a file that is not being synced, and its failure does not fail a commit.
type manifest struct {
	fs       disk.FS
	dir      string
	mode     SyncMode
	counters *counters
	index    *index
	renewal  sync.Mutex // held while files are replaced or synced

	mu     sync.Mutex // guards the fields below
	on     bool       // start was called, and close was not
	files  [2]disk.File
	active int // the file that is written to
	dirty  bool
	state  manifestState
	failed error // of the last write or sync; nil: it succeeded
	buf    [manifestBytes]byte
}

// note records how far a log is durable. It returns before that is synced.
func (m *manifest) note(kind wal.Kind, e wal.Extent) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.on {
		return
	}
	m.state.logs[kind-1] = e
	m.figuresLocked(kind == wal.Batches)
	m.writeLocked()
}

// figuresLocked takes the totals, which count durable records only.
func (m *manifest) figuresLocked(batches bool) {
	m.state.counts = m.counters.snapshot()
	if batches {
		m.index.mu.Lock()
		m.state.committed, m.state.requeues = m.index.committed, m.index.requeues
		m.index.mu.Unlock()
	}
}

// writeLocked writes the state to the active file.
func (m *manifest) writeLocked() {
	m.state.generation++
	m.state.put(m.buf[:])
	file := m.files[m.active]
	if file == nil { // renew makes it
		return
	}
	if _, err := file.WriteAt(m.buf[:], 0); err != nil {
		m.failed = err
		return
	}
	m.dirty = true
}

// sync makes the noted state durable, and replaces the files after a failure. It switches writers to one file while it syncs the
// other, so that no commit waits for it.
func (m *manifest) sync() {
	if m == nil {
		return
	}
	m.renewal.Lock()
	defer m.renewal.Unlock()
	m.mu.Lock()
	on, dirty, failed, file := m.on, m.dirty, m.failed, m.files[m.active]
	m.mu.Unlock()
	switch {
	case !on:
	case failed != nil:
		err := m.renew()
		m.mu.Lock()
		m.failed = err
		m.mu.Unlock()
	case dirty:
		m.mu.Lock()
		m.active, m.dirty = 1-m.active, false
		m.mu.Unlock()
		if m.mode == Never {
			return
		}
		if err := file.Sync(); err != nil {
			m.mu.Lock()
			m.failed = err
			m.mu.Unlock()
		}
	}
}

// failure returns why the manifest cannot be written, or nil.
func (m *manifest) failure() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}

// start begins to keep the manifest with the given state. The former state is overwritten, so recovery must have used it. It
// fails if old files can neither be replaced nor overwritten: the next start would believe that they cover everything
// acknowledged. If there are no old files, it does not fail: failure returns the reason, and sync retries.
func (m *manifest) start(state manifestState) error {
	if m == nil {
		return nil
	}
	m.renewal.Lock()
	defer m.renewal.Unlock()
	m.mu.Lock()
	m.state = state
	m.figuresLocked(true)
	m.on = true
	m.mu.Unlock()
	err := m.renew()
	if err != nil {
		if failed := m.overwrite(); failed != nil {
			return fmt.Errorf("spool: write manifest: %w", errors.Join(err, failed))
		}
	}
	m.mu.Lock()
	m.failed = err
	m.mu.Unlock()
	return nil
}

// overwrite writes the state into the existing files, durably. It needs no disk space: on a full disk no file can be replaced.
// renewal is held.
func (m *manifest) overwrite() error {
	data := make([]byte, manifestBytes)
	for _, name := range manifestNames {
		file, err := m.fs.OpenFile(filepath.Join(m.dir, name), os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		m.mu.Lock()
		m.state.generation++
		m.state.put(data)
		m.mu.Unlock()
		_, err = file.WriteAt(data, 0)
		if err == nil && m.mode != Never {
			err = file.Sync()
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// close writes the last state, which says that the spool was closed in good order.
func (m *manifest) close(logs [3]wal.Extent) error {
	if m == nil {
		return nil
	}
	m.renewal.Lock()
	defer m.renewal.Unlock()
	m.mu.Lock()
	if !m.on {
		m.mu.Unlock()
		return nil
	}
	m.on = false
	m.state.logs, m.state.closed = logs, true
	m.figuresLocked(true)
	m.mu.Unlock()
	err := m.renew()
	for i, f := range m.files {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		m.files[i] = nil
	}
	if err != nil {
		return fmt.Errorf("spool: manifest: %w", err)
	}
	return nil
}

// renew replaces both files, one after the other, each durable before the next: one of them is complete at every moment. A file
// whose write or sync failed is not used again (I4). renewal is held.
func (m *manifest) renew() error {
	for i, name := range manifestNames {
		m.mu.Lock()
		if m.files[1-i] != nil && m.active == i { // writes in the meantime go to the other file
			m.active = 1 - i
			m.writeLocked()
		}
		m.mu.Unlock()
		file, err := m.replace(name)
		if err != nil {
			return err
		}
		m.mu.Lock()
		old := m.files[i]
		m.files[i], m.active, m.dirty = file, i, true // writes in the meantime become durable with the next sync
		m.writeLocked()
		m.mu.Unlock()
		if old != nil {
			_ = old.Close()
		}
	}
	return nil
}

// replace makes a file with the current state, durably, and returns it open.
func (m *manifest) replace(name string) (disk.File, error) {
	path := filepath.Join(m.dir, name)
	m.mu.Lock()
	m.state.generation++
	data := make([]byte, manifestBytes)
	m.state.put(data)
	m.mu.Unlock()
	return replaceFile(m.fs, m.mode, path, data)
}

// newSuffix names a file that is about to replace another.
const newSuffix = ".new"

// replaceFile makes or replaces a file, atomically and durably, and returns it open.
func replaceFile(fs disk.FS, mode SyncMode, path string, data []byte) (file disk.File, err error) {
	if file, err = fs.OpenFile(path+newSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
		}
	}()
	if _, err = file.WriteAt(data, 0); err == nil && mode != Never {
		err = file.Sync()
	}
	if err == nil {
		err = fs.Rename(path+newSuffix, path)
	}
	if err == nil && mode != Never {
		err = fs.SyncDir(filepath.Dir(path))
	}
	return file, err
}

// manifestFacts is what a start knows from the manifest.
type manifestFacts struct {
	manifestState
	found bool // a valid file was found
	exact bool // nothing was acknowledged after it was written
	files int  // how many of the two were valid

	id       [16]byte      // of the directory now; zero: none
	fileNow  disk.Identity // of the file that contains it
	copied   bool          // the directory is a copy of the one that the manifest was written for
	restored string        // by an operator: what to do with what is unresolved; empty: not restored
}

// load reads both files. A file that is missing or does not hold is skipped, since the other one and the logs are enough; a file
// that cannot be read is an error.
func (m *manifest) load() (r manifestFacts, err error) {
	if m == nil {
		return r, nil
	}
	for _, name := range manifestNames {
		data, err := readFile(m.fs, filepath.Join(m.dir, name), manifestBytes)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return r, fmt.Errorf("spool: read %s: %w (if this goes on, remove the file: it is made anew)", name, err)
		}
		var s manifestState
		if !s.parse(data) {
			continue
		}
		r.files++
		if !r.found || s.generation > r.generation {
			r.manifestState = s
		}
		r.found = true
	}
	r.exact = r.files == len(manifestNames) && (r.closed || r.boot == bootOf(m.fs))
	return r, nil
}

// readFile returns at most the first most bytes of a file.
func readFile(fs disk.FS, path string, most int) ([]byte, error) {
	file, err := fs.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	data := make([]byte, most)
	n, err := file.ReadAt(data, 0)
	if errors.Is(err, io.EOF) || n == most {
		err = nil
	}
	return data[:n], errors.Join(err, file.Close())
}

// manifestState returns the state to start the manifest with.
func (s *Spool) manifestState(generation uint64, id [16]byte, file disk.Identity) manifestState {
	return manifestState{
		generation: generation, identity: id, boot: bootOf(s.fs), file: file, at: time.Now().UnixNano(), holes: recentHoles(s.batches.log),
		logs: [3]wal.Extent{s.journal.log.Extent(), s.batches.log.Extent(), s.ids.log.Extent()},
	}
}
