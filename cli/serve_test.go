package cli_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const event = `{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`

// free are options that put every listener on a free port.
var free = []string{"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--sandbox-listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0"}

// sandboxed starts serve --sandbox with its data in dir.
func sandboxed(t *testing.T, dir string, more ...string) *daemon {
	t.Helper()
	return start(t, dir, append(append([]string{"serve", "--sandbox"}, free...), more...)...)
}

// pending reads how many events are on their way, and checks that the figures add up.
func pending(t *testing.T, admin string) (accepted, pending uint64) {
	t.Helper()
	status, body := get(t, admin+"/api/v1/status")
	require.Equal(t, http.StatusOK, status, body)
	var page struct {
		Events struct{ Accepted, Delivered, Dead, Pending, Lost uint64 }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &page))
	e := page.Events
	require.Equal(t, e.Accepted, e.Delivered+e.Dead+e.Pending+e.Lost, body)
	return e.Accepted, e.Pending
}

// The commands that serve --sandbox prints are copied and pasted, from the first to the last.
func TestQuickStart(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl on this machine")
	}
	begun := time.Now()
	d := sandboxed(t, t.TempDir())
	d.eventually("the commands are printed", func() bool { return strings.Contains(d.printed(), "Ctrl-C") })
	commands := pasted(d.printed())
	require.Len(t, commands, 6, d.printed())
	assert.True(t, strings.HasPrefix(commands[5], "  nats --server nats://127.0.0.1:"), commands[5])

	run := func(command string) string {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput()
		require.NoError(t, err, "%s\n%s", command, out)
		return string(out)
	}
	assert.JSONEq(t, `{"accepted":1,"duplicates":0}`, run(commands[0]))
	d.eventually("counted", func() bool {
		return strings.Contains(run(commands[1]), `"app1":{"hits":1,"transfer":512}`)
	})
	assert.Less(t, time.Since(begun), 10*time.Second)
	assert.Empty(t, run(commands[2]))
	assert.Contains(t, run(commands[3]), `"flushed":true`)
	assert.Contains(t, run(commands[1]), `"app2":{"hits":3}`, "a flush does not answer before the report was tried")
	assert.Contains(t, run(commands[4]), `"accepted":2`)
	assert.Equal(t, 0, d.stop())
	assert.NotContains(t, d.logged(), "stoken", "no token in the log")
}

// pasted are the indented commands of a text, continued lines joined.
func pasted(text string) []string {
	var commands []string
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "    "):
			commands[len(commands)-1] += line
		case strings.HasPrefix(line, "  "):
			commands = append(commands, line)
		}
	}
	return commands
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	backend := start(t, dir, "sandbox", "--listen", "127.0.0.1:0")
	url := "http://" + backend.address("sandbox")
	config := `{services: [{id: "1001", token: stoken1001}], batch: {flush_interval: 1h}, spool: {max_bytes: 256MiB, min_free_bytes: 0}}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"), []byte(config), 0o600))
	args := []string{"serve", "-c", "r.yaml", "--data-dir", "data", "--backend-url", url, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}

	first := start(t, dir, args...)
	traffic, _ := first.ready()
	status, body := send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/events", "["+event+","+event+"]")
	require.Equal(t, http.StatusAccepted, status, body)
	first.kill()

	second := start(t, dir, args...)
	_, admin := second.ready()
	accepted, waiting := pending(t, admin)
	assert.Equal(t, [2]uint64{2, 2}, [2]uint64{accepted, waiting})
	status, body = send(t, http.DefaultClient, http.MethodPost, admin+"/-/flush", "")
	require.Equal(t, http.StatusOK, status, body)
	_, body = get(t, url+"/sandbox/usage")
	assert.JSONEq(t, `{"1001":{"app1":{"hits":2}}}`, body)
	_, waiting = pending(t, admin)
	assert.Zero(t, waiting)
	assert.Equal(t, 0, second.stop())
}

// A stop seals what waits, so that the next start has less to do, and exits in time with the backend away.
func TestStopWithTheBackendAway(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"), []byte(
		`{services: [{id: "1001", token: stoken1001}], backend: {url: "http://127.0.0.1:1"}, spool: {max_bytes: 256MiB, min_free_bytes: 0}}`), 0o600))
	d := start(t, dir, "serve", "-c", "r.yaml", "--data-dir", "data", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	traffic, _ := d.ready()
	status, body := send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/events", event)
	require.Equal(t, http.StatusAccepted, status, body)
	begun := time.Now()
	assert.Equal(t, 0, d.stop())
	assert.Less(t, time.Since(begun), 10*time.Second)
	assert.Contains(t, d.logged(), `"msg":"stopped"`)
	assert.Contains(t, d.logged(), `"pending":1`)
}

// inFlight makes the backend take long over a report, and returns once one waits for its answer.
func inFlight(t *testing.T, delay string) *daemon {
	t.Helper()
	d := sandboxed(t, t.TempDir())
	traffic, admin := d.ready()
	url := "http://" + d.address("sandbox") + "/sandbox/faults"
	status, body := send(t, http.DefaultClient, http.MethodPut, url, `{"report":{"delay":"`+delay+`","times":1}}`)
	require.Less(t, status, 300, body)
	status, body = send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/events", event)
	require.Equal(t, http.StatusAccepted, status, body)
	d.eventually("a report is in flight", func() bool {
		_, body := get(t, admin+"/metrics")
		return strings.Contains(body, "reporterd_report_in_flight 1\n")
	})
	return d
}

// timeout(1) and process supervisors signal twice; that is one wish to stop, not impatience.
func TestAStopWaitsForTheReportInFlight(t *testing.T) {
	t.Parallel()
	d := inFlight(t, "1s")
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	assert.Equal(t, 0, d.stop())
	assert.Contains(t, d.logged(), `"msg":"stopped"`)
	assert.Contains(t, d.logged(), `"pending":0`)
}

func TestALaterSignalExitsAtOnce(t *testing.T) {
	t.Parallel()
	d := inFlight(t, "9s")
	begun := time.Now()
	d.eventually("gone", func() bool {
		_ = d.cmd.Process.Signal(syscall.SIGTERM) // until it is gone
		select {
		case <-d.exited:
			return true
		default:
			return false
		}
	})
	assert.Less(t, time.Since(begun), 5*time.Second)
	assert.NotContains(t, d.logged(), `"msg":"stopped"`)
}

func TestASecondDaemonOnTheSameDirectory(t *testing.T) {
	dir := t.TempDir()
	sandboxed(t, dir).ready()
	status, _, stderr := execute(t, dir, nil, append([]string{"serve", "--sandbox"}, free...)...)
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "reporterd-data", "names the directory")
}

func TestAPortThatIsTaken(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	status, _, stderr := execute(t, t.TempDir(), nil, "serve", "--sandbox", "--listen", taken.Addr().String())
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "traffic listener: "+taken.Addr().String()+": address already in use")
}

func TestAUnixSocket(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "r.sock")
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	for range 2 { // the second finds the socket that the first left behind
		d := sandboxed(t, dir, "--listen", "unix:"+socket)
		d.ready()
		assert.Equal(t, "unix:"+socket, d.address("traffic"))
		status, body := send(t, client, http.MethodPost, "http://localhost/v1/events", event)
		assert.Equal(t, http.StatusAccepted, status, body)
		info, err := os.Stat(socket)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o660), info.Mode().Perm())
		client.CloseIdleConnections()
		d.kill()
	}
}

// Real usage never goes to the sandbox, and the sandbox's never to a real account.
func TestTheSandboxKeepsItsDirectoryToItself(t *testing.T) {
	dir := t.TempDir()
	d := sandboxed(t, dir)
	d.ready()
	assert.Equal(t, 0, d.stop())
	status, _, stderr := execute(t, dir, nil, "serve", "--data-dir", "reporterd-data", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	assert.Equal(t, 78, status)
	assert.Contains(t, stderr, `"reporterd-data": belongs to serve --sandbox`)

	require.NoError(t, os.MkdirAll(filepath.Join(dir, "real", "journal"), 0o700))
	status, _, stderr = execute(t, dir, nil, append([]string{"serve", "--sandbox", "--data-dir", "real"}, free...)...)
	assert.Equal(t, 78, status)
	assert.Contains(t, stderr, `"real": was not made by serve --sandbox`)
}

// TestAStopDuringTheStart: a daemon that is told to stop before it is ready has not failed. One that is told to reload then
// goes on: it has just read its configuration.
func TestAStopDuringTheStart(t *testing.T) {
	dir := t.TempDir()
	d := start(t, dir, "serve", "--config", configFile(t, dir, `
data_dir: data
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
backend: {url: "http://127.0.0.1:9"}
services: [{id: "1", token: "token"}]
spool: {engine: jetstream}
nats: {url: "nats://127.0.0.1:9"}
`))
	d.address("admin")
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGHUP))
	admin := d.address("admin")
	status, _ := get(t, "http://"+admin+"/livez")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, 0, d.stop())
	assert.Contains(t, d.logged(), "stopped before it was ready")
	assert.NotContains(t, d.logged(), `"level":"error","msg":"exiting"`)
}

func configFile(t *testing.T, dir, text string) string {
	t.Helper()
	name := filepath.Join(dir, "reporterd.yaml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}
