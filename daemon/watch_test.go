package daemon

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reporterd/reporterd/internal/lifecycle"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// TestNoChangeIsMissed: what is in force in the end is what the file has in the end, also when it changed between its
// first reading and the beginning of the watch, which is as long as a recovery, and while it was being read again.
func TestNoChangeIsMissed(t *testing.T) {
	for _, at := range []string{"before", "during", "after"} {
		synctest.Test(t, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "tokens.yaml")
			write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
			write("old")
			seen := fingerprint([]string{file})
			inForce, reloads := "old", 0
			if at == "before" {
				write("new")
			}
			watching := lifecycle.Start(func(ctx context.Context) error {
				return watchFiles(ctx, zap.NewNop(), seen, func() []string { return []string{file} }, func() error {
					text, err := os.ReadFile(file)
					if inForce = string(text); at == "during" && reloads == 0 {
						write("new")
					}
					reloads++
					return err
				})
			})
			defer watching.End()
			if at == "during" {
				write("in between")
			}
			<-time.After(2 * watchEvery)
			if at == "after" {
				write("new")
			}
			<-time.After(2 * watchEvery)
			require.NoError(t, watching.Stop(t.Context())) // inForce and reloads are the watch's until it has ended
			assert.Equal(t, "new", inForce, at)
			assert.LessOrEqual(t, reloads, 2, at)
		})
	}
}
