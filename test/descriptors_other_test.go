//go:build !linux

package test

import (
	"errors"
	"os"
)

// limitDescriptors cannot be done to another process here.
func limitDescriptors(*os.Process, uint64) (undo func(), err error) {
	return nil, errors.New("no prlimit on this system")
}
