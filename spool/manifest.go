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

// manifestNames are the two files of the manifest. Each holds a whole one; the higher generation counts.
var manifestNames = [2]string{"manifest.a", "manifest.b"}

// manifest keeps, in a second place than the logs themselves, how far the logs go, so that a start notices
// what is missing of them. All methods may be called concurrently; those of a nil manifest do nothing.
//
// The order of writes makes it a lower bound at every moment. note is called after the fdatasync of a group
// and before its producers are told: the manifest never knows of a frame that is not durable, and after a
// kill (the page cache stays) it knows of every frame that was acknowledged. After a loss of power it is as
// old as its last sync, at most two seconds before. It costs a commit one write into the page cache, of a file
// that is not being synced, and its failure fails no commit.
type manifest struct {
	fs       disk.FS
	dir      string
	mode     SyncMode
	counters *counters
	index    *index
	renewal  sync.Mutex // held by whoever replaces or syncs files

	mu     sync.Mutex // guards the fields below
	on     bool       // start was called, and close was not
	files  [2]disk.File
	active int // the file that is written to
	dirty  bool
	state  manifestState
	failed error // of the last write or sync; nil when it was fine
	buf    [manifestBytes]byte
}

// note says how far a log goes, durably, and writes that down. It returns before it is synced.
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
	m.figures(kind == wal.Batches)
	m.write()
}

// figures takes the totals, which are of durable records only. mu is held.
func (m *manifest) figures(batches bool) {
	m.state.counts = m.counters.snapshot()
	if batches {
		m.index.mu.Lock()
		m.state.committed, m.state.requeues = m.index.committed, m.index.requeues
		m.index.mu.Unlock()
	}
}

// write puts the state into the active file. mu is held.
func (m *manifest) write() {
	m.state.generation++
	m.state.put(m.buf[:])
	file := m.files[m.active]
	if file == nil { // renew will make it
		return
	}
	if _, err := file.WriteAt(m.buf[:], 0); err != nil {
		m.failed = err
		return
	}
	m.dirty = true
}

// sync makes what was noted durable, and replaces the files after a failure. It writes to one file while it
// syncs the other, so that no commit waits for it.
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

// trouble returns why the manifest cannot be kept, or nil.
func (m *manifest) trouble() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}

// start begins to keep the manifest, as things are now: whatever it said before is forgotten, so recovery has to be done
// with it. It fails when files of an earlier life stay as they are: they would say of the next start that they know
// everything that was acknowledged. Where there are none, it is trouble, and sync tries again.
func (m *manifest) start(state manifestState) error {
	if m == nil {
		return nil
	}
	m.renewal.Lock()
	defer m.renewal.Unlock()
	m.mu.Lock()
	m.state = state
	m.figures(true)
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

// overwrite writes the state into the files that are there, durably. It needs no room: on a full disk no file can be
// replaced. renewal is held.
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

// close writes the last state, which says that the end was in good order.
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
	m.figures(true)
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

// renew replaces both files, one after the other, each durable before the next: one of them is whole at every
// moment. A file whose write or sync failed is not used again (I4). renewal is held.
func (m *manifest) renew() error {
	for i, name := range manifestNames {
		m.mu.Lock()
		if m.files[1-i] != nil && m.active == i { // what is noted meanwhile goes to the other one
			m.active = 1 - i
			m.write()
		}
		m.mu.Unlock()
		file, err := m.replace(name)
		if err != nil {
			return err
		}
		m.mu.Lock()
		old := m.files[i]
		m.files[i], m.active, m.dirty = file, i, true // what was noted meanwhile is written with the next sync
		m.write()
		m.mu.Unlock()
		if old != nil {
			_ = old.Close()
		}
	}
	return nil
}

// replace makes a file with the state in it, durably, and returns it open.
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

// replaceFile makes or replaces a file, durably and at one moment, and returns it open.
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

// remembered is what the manifest said at a start.
type manifestFacts struct {
	manifestState
	known bool // there was one
	exact bool // nothing that was acknowledged came after it
	files int  // how many of the two were sound

	id       [16]byte      // of the directory now; zero: it has none
	fileNow  disk.Identity // of the file that says so
	copied   bool          // it is a copy of the one the manifest was written for
	restored string        // the operator says so: what to do with what is unresolved; empty: nothing was said
}

// load reads both files. A file that is not there or does not hold is passed over, since the other one and the
// logs go on without it; a file that cannot be read is an error.
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
		if !r.known || s.generation > r.generation {
			r.manifestState = s
		}
		r.known = true
	}
	r.exact = r.files == len(manifestNames) && (r.closed || r.boot == bootOf(m.fs))
	return r, nil
}

// readFile returns a small file, at most so many bytes of it.
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

// manifestState returns what the manifest says from now on.
func (s *Spool) manifestState(generation uint64, id [16]byte, file disk.Identity) manifestState {
	return manifestState{
		generation: generation, identity: id, boot: bootOf(s.fs), file: file, at: time.Now().UnixNano(), holes: recentHoles(s.batches.log),
		logs: [3]wal.Extent{s.journal.log.Extent(), s.batches.log.Extent(), s.ids.log.Extent()},
	}
}
