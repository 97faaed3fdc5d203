package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheConfigurationReadByDefault: the option, then the variable, then the usual file where there is one; never beside
// the sandbox.
func TestTheConfigurationReadByDefault(t *testing.T) {
	usual := filepath.Join(t.TempDir(), "reporterd.yaml")
	assert.Empty(t, configurationFile("", "", usual, false))
	require.NoError(t, os.WriteFile(usual, nil, 0o600))
	assert.Equal(t, usual, configurationFile("", "", usual, false))
	assert.Equal(t, "variable", configurationFile("", "variable", usual, false))
	assert.Equal(t, "option", configurationFile("option", "variable", usual, false))
	assert.Empty(t, configurationFile("", "", usual, true))
}
