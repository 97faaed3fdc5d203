package test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var processRows = map[string][]remedy{
	"Down": {
		{text: "`reporterd config check --config /etc/reporterd/reporterd.yaml`, correct what it names, start.", act: (*runbook).correctsTheConfiguration},
		{text: "If another daemon holds the lock of the directory, the error names it: only one may run.", by: "TestSecondDaemon"},
		{text: "If only the scrape fails, look for a firewall, a token without the scope `read`, or a changed `admin.listen`.", act: (*runbook).scrapesWithARight},
	},
	"Restarting": {
		{text: "for memory: raise the unit's `MemoryMax` or lower `authorize.max_bytes` and `dedupe.max_ids`.", act: (*runbook).needsLessMemory},
		{text: "For an orchestrator's probe: give `livez` more time, since recovery of a large spool reads it once.", left: "the chart gives it ten minutes, which deploy/helm/test reads"},
		{text: "Each start goes on where the last one ended.", act: (*runbook).goesOn},
	},
	"FileDescriptors": {
		{text: "have producers keep connections; raise `LimitNOFILE`.", act: (*runbook).hasMoreDescriptors},
	},
	"ReloadRefused": {
		{text: "correct it, then `systemctl reload reporterd`.", act: (*runbook).correctsTheFile},
	},
	"ClockSkew": {
		{text: "have this clock synchronized (chrony, systemd-timesyncd).", by: "TestBackendClock"},
		{text: "If the backend's is wrong, tell its operator.", left: "a person is told"},
	},
}

func (x *runbook) correctsTheConfiguration() {
	x.begin()
	x.daemon.stop()
	x.settings.set("lisen", "x").rewrite(x.t, x.file)
	wrong := launch(x.t, x.file)
	assert.Equal(x.t, 78, wrong.exit(20*time.Second))
	out, err := command(x.t, "config", "check", "--config", x.file).CombinedOutput()
	require.Error(x.t, err)
	assert.Contains(x.t, string(out), "lisen: unknown key; did you mean listen?")
	delete(x.settings, "lisen")
	x.settings.rewrite(x.t, x.file)
	launch(x.t, x.file).ready()
}

func (x *runbook) scrapesWithARight() {
	operators := filepath.Join(x.t.TempDir(), "operators.yaml")
	made := func(scope string) string {
		out, err := command(x.t, "token", "create", "--name", scope, "--scopes", scope, "--file", operators).Output()
		require.NoError(x.t, err)
		return strings.TrimSpace(string(out))
	}
	narrow := made("stats")
	x.settings.set("admin.tokens_file", operators)
	x.begin()
	scrape := func(token string) int {
		req, err := http.NewRequestWithContext(x.t.Context(), http.MethodGet, x.daemon.admin+"/metrics", nil)
		require.NoError(x.t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		got, err := do(testClient, req)
		require.NoError(x.t, err)
		return got.status
	}
	assert.Equal(x.t, http.StatusForbidden, scrape(narrow))
	wide := made("read")
	x.reload()
	x.sees("a scrape succeeds", func() bool { return scrape(wide) == http.StatusOK })
}

func (x *runbook) needsLessMemory() {
	x.begin()
	before := x.figure("reporterd_authorize_cache_limit_bytes")
	x.settings.set("authorize.max_bytes", "16MiB").set("dedupe.max_ids", 10000)
	x.restart()
	x.daemon.send(hit("1001", "app1"))
	x.delivered(1)
	assert.True(x.t, before == 0 || x.figure("reporterd_authorize_cache_limit_bytes") < before)
}

func (x *runbook) goesOn() {
	x.backend.failReports(fault{Status: 503, Times: 1 << 20})
	x.begin()
	for range 3 {
		x.daemon.send(hit("1001", "app1"))
		x.daemon.kill()
		x.daemon = launch(x.t, x.file)
		x.daemon.ready()
	}
	x.backend.heal()
	x.sees("all three are delivered", func() bool { return x.backend.usage()["1001"]["app1"]["hits"] == 3 })
}

func (x *runbook) hasMoreDescriptors() {
	x.begin()
	share := func() float64 { return x.figure("process_open_fds") / x.figure("process_max_fds") }
	pid := strconv.Itoa(x.daemon.cmd.Process.Pid)
	open, err := os.ReadDir("/proc/" + pid + "/fd")
	require.NoError(x.t, err)
	out, err := exec.Command("prlimit", "--pid", pid, fmt.Sprintf("--nofile=%d:4096", len(open)+2)).CombinedOutput()
	require.NoError(x.t, err, "%s", out)
	x.sees("few are left", func() bool { return share() > 0.8 })
	x.daemon.stop()
	x.daemon = launchWith(x.t, "ulimit -n 4096", x.file)
	x.daemon.ready()
	for range 100 { // a producer that keeps its connection
		x.daemon.send(hit("1001", "app1"))
	}
	assert.Less(x.t, share(), 0.8)
	assert.Less(x.t, x.figure("reporterd_connections"), 10.0)
}

func (x *runbook) correctsTheFile() {
	x.begin()
	require.NoError(x.t, os.WriteFile(x.file, []byte("services: [{id: \"1001\", tokn: x}]\n"), 0o600))
	x.reload()
	x.sees("refused", func() bool { return x.figure("reporterd_config_last_reload_successful") == 0 })
	x.settings.rewrite(x.t, x.file)
	x.daemon.signal(syscall.SIGHUP)
	x.sees("taken", func() bool { return x.figure("reporterd_config_last_reload_successful") == 1 })
}
