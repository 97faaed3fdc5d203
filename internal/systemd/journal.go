package systemd

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// IsJournal reports whether what is written to f goes to the journal, which takes a priority at the beginning of each
// line: the manager says in JOURNAL_STREAM which file that is.
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
