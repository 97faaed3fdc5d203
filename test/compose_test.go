package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// composeService is a service of deploy/compose/compose.yaml.
type composeService struct {
	StopGracePeriod string `yaml:"stop_grace_period"`
	Volumes, Ports  []string
}

// TestComposeFiles: what compose.yaml mounts is there, its configuration is fine, nothing is open to the network, and a stop
// has the time it needs.
func TestComposeFiles(t *testing.T) {
	const dir = "../deploy/compose"
	text, err := os.ReadFile(filepath.Join(dir, "compose.yaml"))
	require.NoError(t, err)
	var file struct{ Services map[string]composeService }
	require.NoError(t, yaml.Unmarshal(text, &file))
	require.Len(t, file.Services, 4)
	for name, s := range file.Services {
		for _, v := range s.Volumes {
			if from, _, _ := strings.Cut(v, ":"); strings.HasPrefix(from, ".") {
				_, err := os.Stat(filepath.Join(dir, from))
				assert.NoError(t, err, name)
			}
		}
		for _, p := range s.Ports {
			assert.True(t, strings.HasPrefix(p, "127.0.0.1:"), "%s: %s", name, p)
		}
	}
	grace, err := time.ParseDuration(file.Services["reporterd"].StopGracePeriod)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, grace, 40*time.Second, "twice stop_timeout")
	out, err := command(t, "config", "check", "--config", filepath.Join(dir, "reporterd.yaml")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, name := range []string{"datasources/prometheus.yaml", "dashboards/reporterd.yaml"} {
		text, err := os.ReadFile(filepath.Join(dir, "grafana", name))
		require.NoError(t, err)
		var any map[string]any
		require.NoError(t, yaml.Unmarshal(text, &any), name)
		assert.EqualValues(t, 1, any["apiVersion"], name)
	}
}
