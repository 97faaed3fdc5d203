package test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clockTick is the unit of the times in /proc/PID/stat (USER_HZ, the same on every Linux).
const clockTick = 10 * time.Millisecond

// linuxOnly skips what reads /proc.
func linuxOnly(t testing.TB) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc: Linux only")
	}
}

// cpu returns the processor time the process has used so far, in user and kernel mode.
func (p *process) cpu() time.Duration {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	require.NoError(p.t, err)
	_, rest, _ := strings.Cut(string(text), ") ") // the name before it may hold blanks
	fields := strings.Fields(rest)
	user, err := strconv.ParseInt(fields[11], 10, 64)
	require.NoError(p.t, err)
	system, err := strconv.ParseInt(fields[12], 10, 64)
	require.NoError(p.t, err)
	return time.Duration(user+system) * clockTick
}

// memory returns the resident memory now and at its highest, in MiB.
func (p *process) memory() (now, peak float64) {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(p.t, err)
	for _, line := range strings.Split(string(text), "\n") {
		name, value, _ := strings.Cut(line, ":")
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch {
		case name == "VmRSS" && err == nil:
			now = kib / 1024
		case name == "VmHWM" && err == nil:
			peak = kib / 1024
		}
	}
	return now, peak
}

// commitLatency is what the disk under dir takes to make one page durable: the median of a hundred.
func commitLatency(t testing.TB, dir string) time.Duration {
	t.Helper()
	f, err := os.CreateTemp(dir, "commit-")
	require.NoError(t, err)
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 4096)
	var took [100]time.Duration
	for i := range took {
		begin := time.Now()
		_, err := f.WriteAt(page, int64(i)*4096)
		require.NoError(t, err)
		require.NoError(t, f.Sync())
		took[i] = time.Since(begin)
	}
	return median(took[:])
}

// machine describes where a benchmark ran.
func machine() string {
	model := "unknown processor"
	text, _ := os.ReadFile("/proc/cpuinfo")
	for _, line := range strings.Split(string(text), "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, %s", model, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}
