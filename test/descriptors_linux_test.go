package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// limitDescriptors sets how many descriptors a running process may have open, and returns what undoes it. Below
// what it has open, everything that opens or accepts fails with EMFILE. The hard limit stays as it is. Before the
// process has its poller that is refused: Go's runtime crashes when it cannot make one.
func limitDescriptors(process *os.Process, n uint64) (undo func(), err error) {
	if !polls(process) {
		return nil, errors.New("the runtime has not started")
	}
	var before unix.Rlimit
	if err := unix.Prlimit(process.Pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		return nil, err
	}
	after := unix.Rlimit{Cur: n, Max: before.Max}
	if err := unix.Prlimit(process.Pid, unix.RLIMIT_NOFILE, &after, nil); err != nil {
		return nil, err
	}
	return func() { _ = unix.Prlimit(process.Pid, unix.RLIMIT_NOFILE, &before, nil) }, nil
}

// polls reports whether a process has an epoll descriptor.
func polls(process *os.Process) bool {
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", process.Pid))
	for _, name := range names {
		if target, err := os.Readlink(name); err == nil && strings.Contains(target, "eventpoll") {
			return true
		}
	}
	return false
}
