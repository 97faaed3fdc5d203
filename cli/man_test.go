package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every command whose help is held against a golden text has a manual page that says the same, reproducibly.
func TestManualPages(t *testing.T) {
	dir := t.TempDir()
	for _, to := range []string{"a", "b"} {
		status, stdout, stderr := execute(t, dir, []string{"SOURCE_DATE_EPOCH=1700000000"}, "man", to)
		require.Equal(t, 0, status, stderr)
		assert.Empty(t, stdout)
	}
	goldens, err := filepath.Glob("testdata/help/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, goldens)
	for _, golden := range goldens {
		name := strings.TrimSuffix(filepath.Base(golden), ".txt") + ".1"
		page, err := os.ReadFile(filepath.Join(dir, "a", name))
		require.NoError(t, err)
		assert.Contains(t, string(page), ".TH ")
		assert.Contains(t, string(page), "Nov 2023")
		again, err := os.ReadFile(filepath.Join(dir, "b", name))
		require.NoError(t, err)
		assert.Equal(t, string(page), string(again))
	}
}

// The shells' completion knows commands and options.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		status, stdout, stderr := execute(t, t.TempDir(), nil, "completion", shell)
		require.Equal(t, 0, status, stderr)
		assert.Contains(t, stdout, "reporterd")
	}
	status, stdout, _ := execute(t, t.TempDir(), nil, "__complete", "deadletter", "requeue", "--re")
	assert.Equal(t, 0, status)
	assert.Contains(t, stdout, "--reason")
	assert.Contains(t, stdout, "--restamp")
}
