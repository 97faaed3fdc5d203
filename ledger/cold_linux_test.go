package ledger

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// dropCaches takes the files of a ledger out of the page cache, as far as they are not mapped.
func dropCaches(t *testing.T, l *Ledger) {
	files, err := filepath.Glob(filepath.Join(l.days.dir, "*"))
	require.NoError(t, err)
	for _, name := range append(files, l.path()) {
		f, err := os.Open(name)
		require.NoError(t, err)
		require.NoError(t, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
		require.NoError(t, f.Close())
	}
}
