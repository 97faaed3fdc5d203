//go:build !unix

package spool

// mapMemory returns nil: there is no memory outside the heap.
func mapMemory(int) []byte { return nil }

func unmapMemory([]byte) {}
