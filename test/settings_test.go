package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// settings is a configuration file in the making: nested maps, written as JSON, which is YAML too.
type settings map[string]any

// newSettings is a daemon with a data directory of its own, every listener on a free port, the
// sandbox's services, and short times.
func newSettings(t testing.TB, backendURL string) settings {
	t.Helper()
	return settings{}.
		set("data_dir", filepath.Join(t.TempDir(), "data")).
		set("listen", "127.0.0.1:0").
		set("admin.listen", "127.0.0.1:0").
		set("backend.url", backendURL).
		set("batch.flush_interval", "100ms").
		set("spool.max_bytes", "256MiB").
		set("spool.min_free_bytes", "1MiB").
		set("services", sandboxServices())
}

// sandboxServices are the sandbox's, with their tokens.
func sandboxServices() []any {
	var all []any
	for _, id := range []string{"1001", "1002", "1003", "1004", "1005"} {
		all = append(all, map[string]any{"id": id, "token": "stoken" + id})
	}
	return all
}

// set changes one key, named by its path with dots, and returns the settings.
func (s settings) set(path string, value any) settings {
	at := s
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		next, ok := at[name].(settings)
		if !ok {
			next = settings{}
			at[name] = next
		}
		at = next
	}
	at[names[len(names)-1]] = value
	return s
}

// dataDir is the daemon's data directory.
func (s settings) dataDir() string { return s["data_dir"].(string) }

// write puts the settings into a file and returns its name.
func (s settings) write(t testing.TB) string {
	t.Helper()
	text, err := json.MarshalIndent(s, "", "  ")
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "reporterd.yaml")
	require.NoError(t, os.WriteFile(name, text, 0o600))
	return name
}
