package test

import (
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// installed puts the binary, the unit and a configuration into a Debian that has booted, as the package would.
func (b *booted) installed(config string) {
	b.t.Helper()
	copied := func(from, to string, mode os.FileMode) {
		text, err := os.ReadFile(from)
		require.NoError(b.t, err)
		require.NoError(b.t, os.WriteFile(b.path(to), text, mode))
	}
	b.must("useradd", "--system", "--user-group", "--home-dir", "/var/lib/reporterd", "--no-create-home", "reporterd")
	b.must("install", "-d", "-m", "0755", "/etc/reporterd")
	b.must("install", "-d", "-m", "0750", "-g", "reporterd", "/etc/reporterd/tokens")
	copied(binary(b.t), "/usr/bin/reporterd", 0o755)
	copied("../deploy/systemd/reporterd.service", "/etc/systemd/system/reporterd.service", 0o644)
	require.NoError(b.t, os.WriteFile(b.path("/etc/reporterd/reporterd.yaml"), []byte(config), 0o644))
	b.must("systemctl", "daemon-reload")
}

// property is one of the unit's, such as NRestarts.
func (b *booted) property(name string) string {
	b.t.Helper()
	return strings.TrimSpace(b.must("systemctl", "show", "--value", "--property="+name, "reporterd"))
}

// TestRestarts: under systemd and the unit as it is shipped, a token file that comes after the start, an abort and a quit,
// which end as a panic does, a daemon that hangs and one that the kernel kills for its memory are restarted until the daemon is
// ready; a configuration that is wrong is not.
func TestRestarts(t *testing.T) {
	if os.Getenv(packagesVariable) == "" {
		t.Skipf("boots a Debian with systemd (root, mmdebstrap, systemd-nspawn): %s=1", packagesVariable)
	}
	t.Parallel() // it waits for the mirror, as TestPackage does
	d := newCleanDebian(t)()
	backend := sandbox(t)
	b, ok := d.boot()
	if !ok {
		t.Skip("!! SKIPPED: systemd does not run here, so no restart is checked in this run")
	}
	config := "data_dir: /var/lib/reporterd\nlisten: \"127.0.0.1:0\"\nadmin: {listen: \"127.0.0.1:0\"}\nbackend: {url: \"" + backend.url +
		"\"}\nspool: {max_bytes: 256MiB, min_free_bytes: 0B}\nservices: [{id: \"1001\", token_file: /etc/reporterd/tokens/1001}]\n"
	b.installed(config)
	require.Error(t, b.in("systemctl", "start", "reporterd").Run(), "there is no token yet")
	eventually(t, 30*time.Second, "it ended with 1, and is tried again", func() bool { // a try that runs has no status yet
		return b.property("NRestarts") != "0" && b.property("ExecMainStatus") == "1"
	})
	require.NoError(t, os.WriteFile(b.path("/etc/reporterd/tokens/1001"), []byte("stoken1001\n"), 0o644))
	service := b.listening()
	service.send(hit("1001", "app2"))
	service.drained(20 * time.Second)

	for _, signal := range []string{"ABRT", "QUIT", "KILL"} {
		before := b.property("NRestarts")
		b.must("systemctl", "kill", "--kill-whom=main", "--signal="+signal, "reporterd")
		eventually(t, 30*time.Second, "restarted after "+signal, func() bool { return b.property("NRestarts") != before })
		b.listening()
	}

	b.hangs()
	b.outOfMemory()

	assert.Contains(t, b.must("reporterd", "config", "check"), "/etc/reporterd/reporterd.yaml: fine, 1 service", "the file that is read by default")
	assert.NotContains(t, b.must("journalctl", "--unit=reporterd", "--output=cat", "--priority=warning"), "listening")
	require.NoError(t, os.WriteFile(b.path("/etc/reporterd/reporterd.yaml"), []byte(config+"lisen: x\n"), 0o644))
	b.must("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "reporterd")
	eventually(t, 30*time.Second, "it is left stopped", func() bool { return b.property("SubState") == "failed" })
	assert.Equal(t, "78", b.property("ExecMainStatus"))
	assert.Contains(t, b.must("journalctl", "--unit=reporterd", "--output=cat", "--priority=err"), "lisen: unknown key; did you mean listen?")
}

// hangs stops the daemon's process, as a deadlock would: it no longer answers the watchdog, which aborts it.
func (b *booted) hangs() {
	b.t.Helper()
	require.NoError(b.t, os.MkdirAll(b.path("/etc/systemd/system/reporterd.service.d"), 0o755))
	require.NoError(b.t, os.WriteFile(b.path("/etc/systemd/system/reporterd.service.d/watchdog.conf"), []byte("[Service]\nWatchdogSec=2s\nTimeoutAbortSec=5s\n"), 0o644))
	b.must("systemctl", "daemon-reload")
	b.must("systemctl", "restart", "reporterd")
	b.listening()
	before := b.property("NRestarts")
	b.must("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "reporterd")
	eventually(b.t, 30*time.Second, "restarted by the watchdog", func() bool { return b.property("NRestarts") != before })
	assert.Contains(b.t, b.must("journalctl", "--unit=reporterd", "--output=cat"), "Watchdog timeout")
	b.listening()
}

// outOfMemory lets the kernel refuse the daemon more memory, of which Go's runtime dies. That the kernel kills it instead is a KILL.
func (b *booted) outOfMemory() {
	b.t.Helper()
	service, before := b.listening(), b.property("NRestarts")
	b.must("prlimit", "--pid="+b.property("MainPID"), "--as=1048576:1048576")
	body := `{"service_id":"1001","app_id":"app2","usage":{"hits":1},"id":"` + strings.Repeat("x", 7<<20) + `"}`
	eventually(b.t, 60*time.Second, "restarted after it ran out of memory", func() bool {
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				_, _ = call(testClient, http.MethodPost, service.traffic+"/v1/events", "application/json", []byte(body))
			})
		}
		all.Wait()
		return b.property("NRestarts") != before
	})
	assert.Regexp(b.t, "fatal error: .*(out of memory|cannot allocate memory)", b.must("journalctl", "--unit=reporterd", "--output=cat"))
	b.listening()
}
