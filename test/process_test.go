package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a program that logs JSON lines to stderr and says there where it listens.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	exited chan struct{} // closed once the process is gone and its output is read
	output []io.Closer   // the ends of its pipes that are read here

	mu        sync.Mutex // guards what follows
	stdout    bytes.Buffer
	log       []string
	addresses map[string]string // listener → address, from msg="listening"
}

// start runs a program until it exits or the test ends, which kills it.
func start(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, exited: make(chan struct{}), addresses: map[string]string{}}
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	p.output = []io.Closer{stdout, stderr}
	require.NoError(t, cmd.Start())
	go p.follow(stdout, stderr)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("log of %s:\n%s", strings.Join(cmd.Args, " "), tail(p.logged(), 40))
		}
	})
	return p
}

// reporterd runs the program under test.
func reporterd(t testing.TB, args ...string) *process {
	t.Helper()
	return start(t, command(t, args...))
}

// command prepares the program under test with an environment that holds nothing of ours.
func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	cmd.Env = append(cmd.Env, "HOME="+os.TempDir(), "PATH="+os.Getenv("PATH"), "GORACE=halt_on_error=1")
	return cmd
}

// follow reads both streams to their end, then waits for the process. It ends with the process.
func (p *process) follow(stdout, stderr io.Reader) {
	var streams sync.WaitGroup
	streams.Go(func() {
		p.read(stdout, func(line string) { p.stdout.WriteString(line + "\n") })
	})
	streams.Go(func() { p.read(stderr, p.note) })
	streams.Wait()
	_ = p.cmd.Wait()
	close(p.exited)
}

// read hands every line to keep, which runs with p.mu held.
func (p *process) read(r io.Reader, keep func(line string)) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.mu.Lock()
		keep(lines.Text())
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, r)
}

// note keeps a line of the log, and the address when it names one.
func (p *process) note(line string) {
	p.log = append(p.log, line)
	var entry struct{ Msg, Listener, Address string }
	if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "listening" {
		p.addresses[entry.Listener] = entry.Address
	}
}

// address returns where a listener is bound; empty: not yet.
func (p *process) address(listener string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addresses[listener]
}

// await returns the address of a listener once the process has logged it.
func (p *process) await(listener string) string {
	p.t.Helper()
	eventually(p.t, 20*time.Second, listener+" is listening", func() bool {
		require.False(p.t, p.gone(), "exited before it listened:\n%s", tail(p.logged(), 20))
		return p.address(listener) != ""
	})
	return p.address(listener)
}

// gone reports whether the process has exited.
func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// logged returns the log so far.
func (p *process) logged() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.log...)
}

// printed returns standard output so far.
func (p *process) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdout.String()
}

// signal sends a signal; a process that is gone does not mind.
func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// suspend stops all threads of the process, and returns once each has stopped: until the one that takes the signal is scheduled, the
// others go on. SIGCONT continues it.
func (p *process) suspend() {
	p.signal(syscall.SIGSTOP)
	eventually(p.t, 10*time.Second, "it has stopped", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
		require.NoError(p.t, err)
		for _, thread := range threads {
			text, err := os.ReadFile(thread)
			if err == nil && !bytes.Contains(text, []byte(") T ")) {
				return false
			}
		}
		return len(threads) > 0
	})
}

// kill ends the process with SIGKILL and returns once it is gone.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// exit waits for the process to exit by itself and returns its status.
func (p *process) exit(within time.Duration) int {
	p.t.Helper()
	eventually(p.t, within, "the process exits", p.gone)
	return p.cmd.ProcessState.ExitCode()
}

// stopReading closes the pipes that the process writes its output to: from now on each write of it fails with EPIPE.
func (p *process) stopReading() {
	for _, end := range p.output {
		_ = end.Close()
	}
}

// tail returns the last n lines.
func tail(lines []string, n int) string {
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
