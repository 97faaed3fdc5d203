package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mostExposed is what systemd-analyze may make of the unit's exposure, in tenths: 0 is none, 100 all.
const mostExposed = 12

// unit reads deploy/systemd/reporterd.service.
func unit(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../deploy/systemd/reporterd.service")
	require.NoError(t, err)
	return string(text)
}

// TestUnitTimes: systemd gives a stop the time that the daemon may take for it, and more.
func TestUnitTimes(t *testing.T) {
	found := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindStringSubmatch(unit(t))
	require.NotNil(t, found)
	allowed, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	text, err := os.ReadFile("../deploy/reporterd.example.yaml")
	require.NoError(t, err)
	asked := regexp.MustCompile(`(?m)^stop_timeout: (\S+)`).FindStringSubmatch(string(text))
	require.NotNil(t, asked)
	stop, err := time.ParseDuration(asked[1])
	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Duration(allowed)*time.Second, 2*stop)
}

// TestUnit: systemd understands every line of the unit, and calls it well protected.
func TestUnit(t *testing.T) {
	if os.Getenv(packagesVariable) == "" {
		t.Skipf("needs systemd-analyze: %s=1", packagesVariable)
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("!! SKIPPED: no systemd-analyze here")
	}
	file := filepath.Join(t.TempDir(), "reporterd.service")
	text := strings.ReplaceAll(unit(t), "/usr/bin/reporterd", binary(t)) // verify wants it to exist
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	out, err := exec.Command("systemd-analyze", "verify", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, line := range strings.Split(string(out), "\n") {
		assert.NotContains(t, line, "reporterd", "a complaint about this unit")
	}
	out, err = exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold="+strconv.Itoa(mostExposed), file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(lines[len(lines)-1])
}
