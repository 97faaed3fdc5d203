package test

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// maxInitBytes bounds what the initialization of one package allocates, in bytes: every command waits for it. Times would differ
// between machines, allocations do not.
const maxInitBytes = 1 << 20

// TestInitialization: no package works before main begins. The console compressed its page there, and parsed the OpenAPI document: 29 MB and 41 of the 49 ms that
// each command took.
func TestInitialization(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("the race detector allocates, too")
	}
	cmd := exec.Command(binary(t), "version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	found := regexp.MustCompile(`(?m)^init (\S+) @.* (\d+) bytes, \d+ allocs$`).FindAllSubmatch(out, -1)
	require.Greater(t, len(found), 10, "%s", out)
	for _, f := range found {
		bytes, err := strconv.Atoi(string(f[2]))
		require.NoError(t, err)
		assert.Less(t, bytes, maxInitBytes, "%s: do it at the first use (sync.OnceValue)", f[1])
	}
}
