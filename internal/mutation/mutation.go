// Package mutation breaks source files on purpose, for one run of the go command: a test shows with it that other tests notice a fault.
// The files themselves stay as they are.
package mutation

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Change is one text of a file in place of another.
type Change struct {
	File     string // relative to the directory of the test
	Old, New string // Old stands once in the file
}

// Apply fails the test unless each old text stands once in its file: mutants are kept in step with the code. name is that of the
// mutant.
func Apply(t testing.TB, name string, changes ...Change) {
	t.Helper()
	for _, c := range changes {
		source, err := os.ReadFile(c.File)
		require.NoError(t, err, name)
		assert.Equal(t, 1, strings.Count(string(source), c.Old), "%s: %s: %q", name, c.File, c.Old)
	}
}

// Overlay returns the name of a file for the option -overlay of the go command. It is removed with the test.
func Overlay(t testing.TB, changes ...Change) string {
	t.Helper()
	dir := t.TempDir()
	changed := map[string]string{} // the new text, by the file's absolute path
	for _, c := range changes {
		original, err := filepath.Abs(c.File)
		require.NoError(t, err)
		text, ok := changed[original]
		if !ok {
			source, err := os.ReadFile(original)
			require.NoError(t, err)
			text = string(source)
		}
		require.Equal(t, 1, strings.Count(text, c.Old), "the place to change in %s", c.File)
		changed[original] = strings.Replace(text, c.Old, c.New, 1)
	}
	replace := map[string]string{}
	for original, text := range changed {
		file, err := os.CreateTemp(dir, "*.go")
		require.NoError(t, err)
		_, err = file.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		replace[original] = file.Name()
	}
	encoded, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	overlay := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(overlay, encoded, 0o600))
	return overlay
}

// Killed breaks the sources of the package for one run of one of its tests, and fails unless that test fails: the mutant must not live.
// env is added to the environment. It returns what the run printed.
func Killed(t testing.TB, test string, env []string, changes ...Change) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-count=1", "-timeout=5m", "-run=^"+test+"$", "-overlay="+Overlay(t, changes...), ".")
	cmd.Env = append(append(os.Environ(), "REPORTERD_MUTANTS="), env...)
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "it lives:\n%s", output)
	require.NotContains(t, string(output), "[build failed]")
	return string(output)
}
