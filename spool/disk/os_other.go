//go:build unix && !linux

package disk

import (
	"os"
	"sync"
)

// identityOf tells no copy from its original here.
func identityOf(os.FileInfo) Identity { return Identity{} }

var bootID = sync.OnceValue(unknownBoot)

// Boot returns another name in each process: what was written and not synced may be gone.
func (OS) Boot() string { return bootID() }

// datasync is fsync.
func datasync(f *os.File) error { return f.Sync() }

// allocate only sets the size.
func allocate(f *os.File, size int64) error { return f.Truncate(size) }
