package daemon

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
)

// TestMemoryLimitIsDivided: without memory_limit, each part is bounded by its own key. With memory_limit, each part is bounded by the smaller of
// its own key and its share.
func TestMemoryLimitIsDivided(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		limit      int64 // bytes
		partitions int   // of a replica; 0: a single daemon
		change     func(*config.Config)
		want       shares
		collected  int64 // bytes
	}{
		"none": {want: shares{32_000_000, 256 * mib, 64 * mib, 64 * mib}},
		"the unit's takes nothing from the defaults": {
			limit: 1500 * mib, want: shares{32_000_000, 256 * mib, 64 * mib, 64 * mib}, collected: 1500*mib - 480_000_000,
		},
		"the chart's": {
			limit: 1024 * mib, want: shares{23_860_929, 256 * mib, 64 * mib, 64 * mib}, collected: 1024*mib - 23_860_929*15,
		},
		"the least": {
			limit: 256 * mib, want: shares{5_965_232, 64 * mib, 32 * mib, 16 * mib}, collected: 256*mib - 5_965_232*15,
		},
		"smaller keys count": {
			limit: 1024 * mib, change: func(c *config.Config) { c.Dedupe.MaxIDs, c.Authorize.MaxBytes = 5000, 16*config.MiB },
			want: shares{5000, 16 * mib, 64 * mib, 64 * mib}, collected: 1024*mib - 75_000,
		},
		"a replica may own all partitions": {
			limit: 1024 * mib, partitions: 8, want: shares{2_982_616, 32 * mib, 64 * mib, 8 * mib}, collected: 1024*mib - 2_982_616*15*8,
		},
	} {
		t.Run(name, func(t *testing.T) {
			configured := config.Default()
			if c.change != nil {
				c.change(configured)
			}
			if c.partitions > 0 {
				configured.Spool.Engine, configured.Cluster.Partitions = "jetstream", c.partitions
			}
			got := sharesOf(configured, c.limit)
			assert.Equal(t, c.want, got)
			if c.limit > 0 {
				assert.Equal(t, c.collected, got.collected(configured, c.limit))
				assert.LessOrEqual(t, int64(got.ids*idBytes)+got.authorizations+got.requests+int64(got.window), c.limit*4/5, "a fifth is left")
			}
		})
	}
}

// TestSizingOfMemory: the page has the shares as they are.
func TestSizingOfMemory(t *testing.T) {
	page, err := os.ReadFile("../docs/sizing.md")
	require.NoError(t, err)
	c := config.Default()
	for limit, name := range map[int64]string{1500 << 20: "1500 MiB (the unit's)", 1 << 30: "1 GiB", 512 << 20: "512 MiB", 256 << 20: "256 MiB"} {
		s := sharesOf(c, limit)
		ids := fmt.Sprintf("%d,%03d,%03d", s.ids/1e6, s.ids/1e3%1e3, s.ids%1e3)
		row := fmt.Sprintf("| %s | %s | %d MiB | %d MiB | %d MiB | %d MiB |", name, ids, s.authorizations>>20, s.requests>>20, s.window>>20, s.collected(c, limit)>>20)
		assert.True(t, strings.Contains(string(page), row), row)
	}
}

// TestMemoryLimitOfTheEnvironment: the configuration counts before GOMEMLIMIT, which counts where the configuration says nothing.
func TestMemoryLimitOfTheEnvironment(t *testing.T) {
	c := config.Default()
	assert.Zero(t, memoryLimit(c, math.MaxInt64))
	assert.EqualValues(t, 1<<30, memoryLimit(c, 1<<30))
	c.MemoryLimit = 512 * config.MiB
	assert.EqualValues(t, 512<<20, memoryLimit(c, 1<<30))
	undo := limitMemory(zap.NewNop(), c)
	undo()
}
