//go:build unix && !linux

package disk

import "os"

// datasync is fsync.
func datasync(f *os.File) error { return f.Sync() }

// allocate only sets the size.
func allocate(f *os.File, size int64) error { return f.Truncate(size) }
