//go:build unix && !linux

package disk

import (
	"os"
	"sync"
)

// identityOf returns an unknown identity: here a copy cannot be detected.
func identityOf(*os.File) (Identity, error) { return Identity{}, nil }

var bootID = sync.OnceValue(unknownBoot)

// Boot returns another value in each process: what was written and not synced may be gone.
func (OS) Boot() string { return bootID() }

// datasync is fsync.
func datasync(f *os.File) error { return f.Sync() }

// allocate only sets the size.
func allocate(f *os.File, size int64) error { return f.Truncate(size) }
