// Package durable replaces files atomically. After a crash at any moment the name refers to the old content or to the new one,
// never to a part of either.
package durable

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// unfinished is the suffix of a file that is being written. A crash may leave one; the next write of the same file replaces it.
const unfinished = ".tmp"

// WriteFile replaces a file by one with this content and these permissions. It returns nil once that is durable. After an error
// the old file is in place, or the new one if only the last step failed. A file must not be written concurrently.
func WriteFile(name string, data []byte, mode os.FileMode) error {
	return Write(name, mode, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Write is WriteFile for content that is written in pieces. The writer is buffered.
func Write(name string, mode os.FileMode, content func(io.Writer) error) error {
	next := name + unfinished
	if err := write(next, mode, content); err != nil {
		_ = os.Remove(next) // the error that matters is the first one
		return err
	}
	// A crash here leaves the old file, and the new one complete under a name that the next write reuses.
	if err := Rename(next, name); err != nil {
		_ = os.Remove(next)
		return err
	}
	return nil
}

func write(name string, mode os.FileMode, content func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	if err = content(w); err == nil {
		err = errors.Join(w.Flush(), f.Chmod(mode), f.Sync())
	}
	return errors.Join(err, f.Close())
}

// Rename renames a file within a directory, and replaces an existing file. It returns nil once that is durable. The content is
// durable only if it was before.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	// A crash here may undo the rename: the directory is not synced yet.
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
