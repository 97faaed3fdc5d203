package systemd

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// IsJournal reports whether f is connected to the systemd journal, which accepts a priority at the beginning of each line. The
// service manager names the file in JOURNAL_STREAM.
func IsJournal(f *os.File) bool {
	stream := os.Getenv("JOURNAL_STREAM")
	if stream == "" {
		return false
	}
	var info unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &info); err != nil {
		return false
	}
	return stream == fmt.Sprintf("%d:%d", info.Dev, info.Ino)
}
