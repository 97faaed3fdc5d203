package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// binaryVariable names a binary to test instead of building one.
const binaryVariable = "REPORTERD_BINARY"

// build is the daemon's binary, built once for all tests that ask for it.
var build struct {
	once sync.Once
	dir  string
	path string
	out  []byte
	err  error
}

// binary returns the path of the program under test. With the race detector on in this test, the
// program gets it too.
func binary(t testing.TB) string {
	t.Helper()
	build.once.Do(func() {
		if build.path = os.Getenv(binaryVariable); build.path != "" {
			return
		}
		if build.dir, build.err = os.MkdirTemp("", "reporterd-test-"); build.err != nil {
			return
		}
		build.path = filepath.Join(build.dir, "reporterd")
		args := []string{"build", "-o", build.path}
		if raceDetector {
			args = append(args, "-race")
		}
		cmd := exec.Command("go", append(args, "./cmd/reporterd")...)
		cmd.Dir = ".."
		build.out, build.err = cmd.CombinedOutput()
		if build.err == nil {
			build.err = os.Chmod(build.dir, 0o755) // one test runs it as another user
		}
	})
	require.NoError(t, build.err, "go build ./cmd/reporterd: %s", build.out)
	return build.path
}

// removeBuild deletes what binary built.
func removeBuild() {
	if build.dir != "" {
		_ = os.RemoveAll(build.dir)
	}
}
