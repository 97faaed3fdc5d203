package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/internal/testparallel"
)

// program is the binary under test, built once.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "reporterd")
	if err == nil {
		program = filepath.Join(dir, "reporterd")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", program, "../cmd/reporterd").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testparallel.Allow("6")
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// command prepares the program with an environment of its own, in a directory of the test's own.
func command(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)
	return cmd
}

// execute runs the program to its end.
func execute(t *testing.T, dir string, env []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	cmd := command(t, dir, env, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		require.ErrorAs(t, err, new(*exec.ExitError))
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// daemon is a program that is running.
type daemon struct {
	t      *testing.T
	cmd    *exec.Cmd
	exited chan struct{} // closed once it is gone and its output is read

	mu        sync.Mutex // guards what follows
	stdout    bytes.Buffer
	log       bytes.Buffer
	addresses map[string]string
}

// start runs the program until it is stopped or the test ends.
func start(t *testing.T, dir string, args ...string) *daemon {
	t.Helper()
	return startCommand(t, command(t, dir, nil, args...))
}

// shellCommand prepares a shell that becomes the program.
func shellCommand(t *testing.T, dir, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", script)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	return cmd
}

func startCommand(t *testing.T, cmd *exec.Cmd) *daemon {
	t.Helper()
	d := &daemon{t: t, cmd: cmd, exited: make(chan struct{}), addresses: map[string]string{}}
	stdout, err := d.cmd.StdoutPipe()
	require.NoError(t, err)
	stderr, err := d.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, d.cmd.Start())
	go d.follow(stdout, stderr)
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			t.Logf("log:\n%s", d.logged())
		}
	})
	return d
}

// follow reads both streams to their end; it ends with the process.
func (d *daemon) follow(stdout, stderr io.Reader) {
	var streams sync.WaitGroup
	streams.Go(func() { d.each(stdout, func(line string) { d.stdout.WriteString(line + "\n") }) })
	streams.Go(func() {
		d.each(stderr, func(line string) {
			d.log.WriteString(line + "\n")
			var entry struct{ Msg, Listener, Address string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "listening" {
				d.addresses[entry.Listener] = entry.Address
			}
		})
	})
	streams.Wait()
	_ = d.cmd.Wait()
	close(d.exited)
}

func (d *daemon) each(r io.Reader, keep func(line string)) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		d.mu.Lock()
		keep(lines.Text())
		d.mu.Unlock()
	}
}

func (d *daemon) logged() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

func (d *daemon) printed() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stdout.String()
}

// address waits until a listener is bound.
func (d *daemon) address(listener string) (address string) {
	d.t.Helper()
	d.eventually(listener+" is bound", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		address = d.addresses[listener]
		return address != ""
	})
	return address
}

// ready waits for /readyz and returns the base URLs of the traffic and the admin listener.
func (d *daemon) ready() (traffic, admin string) {
	d.t.Helper()
	admin = "http://" + d.address("admin")
	d.eventually("ready", func() bool { status, _ := get(d.t, admin+"/readyz"); return status == http.StatusOK })
	return "http://" + d.address("traffic"), admin
}

func (d *daemon) eventually(what string, condition func() bool) {
	d.t.Helper()
	require.Eventually(d.t, condition, 15*time.Second, 10*time.Millisecond, what)
}

// kill ends the program as a power cut would, apart from the page cache.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill() // it may be gone
	<-d.exited
}

// stop sends SIGTERM and returns the exit status.
func (d *daemon) stop() int {
	d.t.Helper()
	require.NoError(d.t, d.cmd.Process.Signal(syscall.SIGTERM))
	d.eventually("exits", func() bool {
		select {
		case <-d.exited:
			return true
		default:
			return false
		}
	})
	return d.cmd.ProcessState.ExitCode()
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	return send(t, http.DefaultClient, http.MethodGet, url, "")
}

// send returns status 0 when there is no answer.
func send(t *testing.T, client *http.Client, method, url, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	require.NoError(t, err)
	return answer.StatusCode, string(text)
}
