package mutation

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOverlayBreaksOneRun: a build with the overlay sees both changes of a file, and the next one without it sees none.
func TestOverlayBreaksOneRun(t *testing.T) {
	changes := []Change{{"mutation.go", "package mutation\n\nimport (", "package mutation\n\nvar first int = \"x\"\n\nimport ("}}
	Apply(t, "a", changes...)
	out, err := exec.Command("go", "vet", "-overlay", Overlay(t, changes...), ".").CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "imports must appear before other declarations")
	out, err = exec.Command("go", "build", ".").CombinedOutput()
	assert.NoError(t, err, string(out))
}
