package test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestClusterFiles: the files under deploy/cluster are what their readers take.
func TestClusterFiles(t *testing.T) {
	t.Setenv("NAME", "nats-0")
	o, err := server.ProcessConfigFile("../deploy/cluster/nats.conf")
	require.NoError(t, err)
	assert.True(t, o.SyncAlways, "nothing is acknowledged before it is on a disk")
	assert.Len(t, o.Routes, natsServers)

	dir := t.TempDir()
	token, file := filepath.Join(dir, "token"), filepath.Join(dir, "reporterd.yaml")
	require.NoError(t, os.WriteFile(token, []byte("token"), 0o600))
	text, err := os.ReadFile("../deploy/cluster/reporterd.yaml")
	require.NoError(t, err)
	text = []byte(strings.ReplaceAll(string(text), "/run/secrets/2555417.token", token))
	require.NoError(t, os.WriteFile(file, text, 0o600))
	out, err := command(t, "config", "check", "--config", file).CombinedOutput()
	require.NoError(t, err, "%s", out)

	kinds := map[string]int{}
	for _, name := range []string{"kubernetes.yaml", "compose.yaml"} {
		f, err := os.Open("../deploy/cluster/" + name)
		require.NoError(t, err)
		defer f.Close()
		for decoder := yaml.NewDecoder(f); ; {
			var document struct{ Kind string }
			if err := decoder.Decode(&document); err == io.EOF {
				break
			} else {
				require.NoError(t, err, name)
			}
			kinds[document.Kind]++
		}
	}
	assert.Equal(t, map[string]int{"Service": 2, "StatefulSet": 1, "PodDisruptionBudget": 2, "Deployment": 1, "": 1}, kinds)
}
