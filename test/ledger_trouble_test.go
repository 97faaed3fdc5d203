package test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWithoutALedger: whatever stands where the ledger's file should be, events are taken and delivered. What can be
// replaced is, and kept beside; where nothing can be, those who ask are told.
func TestWithoutALedger(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil  func(file string) error
		status int
		kept   int // files set aside
	}{
		"a directory": {func(file string) error { return os.MkdirAll(filepath.Join(file, "x"), 0o700) }, http.StatusServiceUnavailable, 0},
		"no database": {func(file string) error { return os.WriteFile(file, make([]byte, 1<<16), 0o600) }, http.StatusOK, 1},
		"a torn file": {func(file string) error { return os.WriteFile(file, []byte("x"), 0o600) }, http.StatusOK, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := sandbox(t)
			s := newSettings(t, b.url)
			require.NoError(t, os.MkdirAll(s.dataDir(), 0o700))
			file := filepath.Join(s.dataDir(), "ledger.db")
			require.NoError(t, tt.spoil(file))
			d := serve(t, s)
			d.send(hit("1001", "app1"))
			assert.EqualValues(t, 1, d.drained(20*time.Second).Events.Delivered)
			mustCall(t, tt.status, "GET", d.admin+"/api/v1/ledger", nil)
			mustCall(t, tt.status, "GET", d.admin+"/admin/api/services.json", nil)
			aside, err := filepath.Glob(file + ".damaged-*")
			require.NoError(t, err)
			assert.Len(t, aside, tt.kept)
			d.stop()
		})
	}
}
