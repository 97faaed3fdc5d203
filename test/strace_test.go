package test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// strace is a running strace that injects errors or delays into the system calls of a process.
type strace struct {
	t        testing.TB
	cmd      *exec.Cmd
	out      string        // the file it writes the calls to
	attached chan struct{} // closed once the process is traced, or strace is gone
	exited   chan struct{} // closed once strace is gone
}

// injection says which system calls are answered how.
type injection struct {
	calls string   // names, separated by commas
	how   string   // what follows the names in strace's -e inject=, such as error=EIO
	paths []string // only calls about these files; none: all calls of the process
}

// needStrace skips the test where strace is missing or may not trace.
func needStrace(t testing.TB) {
	t.Helper()
	linuxOnly(t)
	if out, err := exec.Command("strace", "-qq", "-o", "/dev/null", "true").CombinedOutput(); err != nil {
		t.Skipf("needs strace (Debian's package strace) and the right to trace: %v %s", err, out)
	}
}

// inject begins to inject into a running process and returns once all its threads are traced. detach, or the end of
// the process, ends it.
func inject(t testing.TB, pid int, in injection) *strace {
	t.Helper()
	s := &strace{t: t, out: filepath.Join(t.TempDir(), "calls"), attached: make(chan struct{}), exited: make(chan struct{})}
	args := []string{"-f", "-p", fmt.Sprint(pid), "-o", s.out, "-s", "0", "-e", "signal=none",
		"-e", "trace=" + in.calls, "-e", "inject=" + in.calls + ":" + in.how}
	for _, path := range in.paths {
		args = append(args, "-P", path)
	}
	s.cmd = exec.Command("strace", args...)
	stderr, err := s.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	go func() { // ends with strace
		defer close(s.exited)
		lines, attached := bufio.NewScanner(stderr), false
		for lines.Scan() {
			if !attached && strings.Contains(lines.Text(), " attached") {
				attached = true
				close(s.attached)
			}
		}
		_ = s.cmd.Wait()
		if !attached {
			close(s.attached)
		}
	}()
	t.Cleanup(s.detach)
	select {
	case <-s.attached:
	case <-time.After(10 * time.Second):
		require.Fail(t, "strace does not attach")
	}
	return s
}

// detach ends the injection and returns once the process runs untraced again.
func (s *strace) detach() {
	_ = s.cmd.Process.Signal(syscall.SIGINT) // strace lets its process go on
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
}

// injected counts the calls that were hit so far.
func (s *strace) injected() int {
	text, err := os.ReadFile(s.out)
	require.NoError(s.t, err)
	return bytes.Count(text, []byte("(INJECTED)")) + bytes.Count(text, []byte("(DELAYED)"))
}

// launchStopped starts a daemon that stands still before its first instruction, so that it can be traced from there on.
// SIGCONT lets it run.
func launchStopped(t testing.TB, configFile string, args ...string) *daemon {
	t.Helper()
	d := launchWith(t, "kill -STOP $$", configFile, args...)
	stat := fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid)
	eventually(t, 10*time.Second, "the process has stopped", func() bool {
		text, err := os.ReadFile(stat)
		return err == nil && bytes.Contains(text, []byte(") T "))
	})
	return d
}
