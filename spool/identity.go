package spool

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/reporterd/reporterd/spool/disk"
)

// identityName is the file that names the directory: 128 random bits in hexadecimal, made once, durably, before the first event
// is accepted.
const identityName = "identity"

// directoryID reads the directory's identity. It is zero if there is none, or if the file does not contain one.
func directoryID(files disk.FS, dir string) (id [16]byte, file disk.Identity, err error) {
	path := filepath.Join(dir, identityName)
	data, err := readFile(files, path, 64)
	if errors.Is(err, fs.ErrNotExist) {
		return id, file, nil
	}
	if err != nil {
		return id, file, fmt.Errorf("spool: read %s: %w", identityName, err)
	}
	held, err := files.Hold(path)
	if err == nil {
		file, err = held.Identity()
		err = errors.Join(err, held.Close())
	}
	if err != nil {
		return id, file, fmt.Errorf("spool: read %s: %w", identityName, err)
	}
	if raw, err := hex.DecodeString(strings.TrimSpace(string(data))); err == nil && len(raw) == len(id) {
		copy(id[:], raw)
	}
	return id, file, nil
}

// newDirectoryID gives the directory a new identity. It returns once that is durable.
func (s *Spool) newDirectoryID() (id [16]byte, file disk.Identity, err error) {
	_, _ = rand.Read(id[:]) // never fails
	made, err := replaceFile(s.fs, s.mode, filepath.Join(s.dir, identityName), []byte(hex.EncodeToString(id[:])+"\n"))
	if err == nil {
		err = made.Close()
	}
	if err != nil {
		return id, file, fmt.Errorf("spool: write %s: %w", identityName, err)
	}
	return directoryID(s.fs, s.dir)
}

// isCopy reports whether the directory is a copy of the one that its manifest was written for: the identity is the same, but the
// file that contains it is another one. That it is where it was made after the original had changed last. Where the file system does
// not keep that time, both inode and change time have to differ, so that neither one that renumbers its inodes at each mount nor a chown
// makes the original look like a copy; a copy that was restored in its place may have got the inode of the original.
func (r *manifestFacts) isCopy() bool {
	if !r.found || r.file == (disk.Identity{}) || r.fileNow == (disk.Identity{}) || r.identity != r.id {
		return false
	}
	return r.fileNow.Born > r.file.Changed || r.file.Inode != r.fileNow.Inode && r.file.Changed != r.fileNow.Changed
}

// originOf determines whether the directory is the one of the last start, a copy of it, or restored.
func (s *Spool) originOf(r *manifestFacts) (err error) {
	if s.manifest == nil {
		return nil
	}
	if r.id, r.fileNow, err = directoryID(s.fs, s.dir); err != nil {
		return err
	}
	r.copied = r.isCopy()
	word, err := readFile(s.fs, filepath.Join(s.dir, RestoredName), 64)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("spool: read %s: %w", RestoredName, err)
	}
	if r.restored = strings.TrimSpace(string(word)); r.restored != restoredResendWord {
		r.restored = restoredParkWord
	}
	return nil
}
