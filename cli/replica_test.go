package cli

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
)

// TestAReloadDuringATakeover: a partition that was being read when the configuration was reloaded has the new services
// and credentials as well as those that were read before.
func TestAReloadDuringATakeover(t *testing.T) {
	before := config.Default()
	before.DataDir = t.TempDir()
	before.Services = []config.Service{{ID: "1", Token: "old"}}
	g, err := newGuards(before)
	require.NoError(t, err)
	s, err := openSpool(zap.NewNop(), before)
	require.NoError(t, err)
	defer closeSpool(zap.NewNop(), s)
	r := &replica{log: zap.NewNop(), config: before, latest: before, owned: map[int]*pipeline{}}
	p, err := assemble(zap.NewNop(), before, s, "http://127.0.0.1:9", g)
	require.NoError(t, err)

	after := config.Default()
	after.Services = []config.Service{{ID: "1", Token: "new"}, {ID: "2", Token: "new"}}
	r.latest = after // what a reload does while the partition is not among those it reaches
	r.own(0, p, before)
	for _, id := range []string{"1", "2"} {
		c, known := p.openings.of(id)
		assert.True(t, known, id)
		assert.Equal(t, "new", c.ServiceToken, id)
	}
}
