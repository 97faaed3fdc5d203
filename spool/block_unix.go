//go:build unix

package spool

import "golang.org/x/sys/unix"

// mapMemory returns zeroed memory outside the heap; nil: there is none.
func mapMemory(n int) []byte {
	data, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	return data
}

// unmapMemory gives memory of mapMemory back. Its only error is that of memory that was not mapped.
func unmapMemory(data []byte) { _ = unix.Munmap(data) }
