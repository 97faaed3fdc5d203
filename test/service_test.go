package test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// booted is a clean Debian whose systemd runs.
type booted struct {
	*cleanDebian
	leader string // process id of its systemd
}

// containers has one systemd run at a time. systemd-nspawn puts every one into the control group "payload" beside the
// others, so two of them own the same reporterd.service: the one cleans up what the other started.
var containers sync.Mutex

// boot starts systemd in a container on the host's network, unless options of systemd-nspawn say otherwise, once the one before has ended; false where this kernel
// forbids it.
func (d *cleanDebian) boot(options ...string) (*booted, bool) {
	d.t.Helper()
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		d.t.Log("!! SKIPPED: no systemd-nspawn, so the unit runs under no systemd in this run")
		return nil, false
	}
	containers.Lock()
	d.t.Cleanup(containers.Unlock) // after the container has ended
	own := "mount --make-rprivate /; mkdir -p /run/systemd/nspawn; mount -t tmpfs none /run/systemd/nspawn; exec \"$@\""
	cmd := exec.Command("unshare", append([]string{"-m", "sh", "-c", own, "sh", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot",
		"--directory", d.root, "--machine=reporterd-test", "--console=pipe"}, options...)...)
	cmd.Stdin = bytes.NewReader(nil)
	p := start(d.t, cmd)
	b := &booted{cleanDebian: d}
	eventually(d.t, 30*time.Second, "systemd runs, or does not", func() bool {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", p.cmd.Process.Pid))
		b.leader = strings.TrimSpace(string(children))
		out, _ := b.in("systemctl", "is-system-running").CombinedOutput()
		return p.gone() || strings.Contains("running degraded", strings.TrimSpace(string(out))) && len(out) > 1
	})
	if p.gone() {
		d.t.Logf("!! SKIPPED: systemd does not run in a container here:\n%s", tail(p.logged(), 5))
		return nil, false
	}
	d.t.Cleanup(func() { // before start's, which kills
		p.signal(syscall.SIGTERM) // in good order
		select {
		case <-p.exited:
		case <-time.After(20 * time.Second):
			d.t.Error("the container does not stop")
		}
	})
	return b, true
}

// in prepares a program inside.
func (b *booted) in(args ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"-t", b.leader, "-m", "-u", "-i", "-n", "-p", "--"}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}
	return cmd
}

func (b *booted) must(args ...string) string {
	b.t.Helper()
	out, err := b.in(args...).CombinedOutput()
	require.NoError(b.t, err, "%s: %s", strings.Join(args, " "), out)
	return string(out)
}

// listening returns where the service listens since its last start, once it is ready.
func (b *booted) listening() *daemon {
	b.t.Helper()
	d := &daemon{process: &process{t: b.t}}
	eventually(b.t, 20*time.Second, "the service is ready", func() bool {
		id := strings.TrimSpace(b.must("systemctl", "show", "--value", "--property=InvocationID", "reporterd"))
		log, _ := b.in("journalctl", "--output=cat", "_SYSTEMD_INVOCATION_ID="+id).Output()
		for _, found := range regexp.MustCompile(`"listener":"(\w+)","address":"([^"]+)"`).FindAllStringSubmatch(string(log), -1) {
			*map[string]*string{"traffic": &d.traffic, "admin": &d.admin}[found[1]] = "http://" + found[2]
		}
		got, err := call(testClient, http.MethodGet, d.admin+"/readyz", "", nil)
		return err == nil && got.status == http.StatusOK
	})
	return d
}

// unit installs a package, runs it as a service and upgrades it, in a Debian that has booted.
func (d *cleanDebian) unit(old, young string, backend *backend) {
	d.t.Helper()
	b, ok := d.boot()
	if !ok {
		return
	}
	t, began := d.t, time.Now()
	before := backend.usage()["1001"]["app2"]["hits"]
	for name, file := range map[string]string{"/old.deb": old, "/young.deb": young} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(d.path(name), text, 0o644))
	}
	b.must("dpkg", "--install", "/old.deb")
	config := strings.NewReplacer("https://su1.3scale.net", backend.url, ":7070", ":0", ":7071", ":0", "services: []",
		`services: [{id: "1001", token_file: /etc/reporterd/tokens/1001}]`).Replace(d.read("/etc/reporterd/reporterd.yaml"))
	require.NoError(t, os.WriteFile(d.path("/etc/reporterd/reporterd.yaml"), []byte(config), 0o640))
	require.NoError(t, os.WriteFile(d.path("/etc/reporterd/tokens/1001"), []byte("wrong"), 0o640))
	b.must("chgrp", "reporterd", "/etc/reporterd/tokens/1001")
	b.must("systemctl", "enable", "--now", "reporterd")
	service := b.listening()
	service.send(hit("1001", "app2"))
	service.held()
	require.NoError(t, os.WriteFile(d.path("/etc/reporterd/tokens/1001"), []byte("stoken1001"), 0o640))
	b.must("systemctl", "reload", "reporterd") // which reads the token where it is
	service.drained(20 * time.Second)
	t.Logf("installed, configured, started and delivered %v after dpkg began", time.Since(began).Round(10*time.Millisecond))

	b.must("systemctl", "reload", "reporterd")
	eventually(t, 10*time.Second, "it was reloaded", func() bool {
		return strings.Contains(metrics(service), `reporterd_config_reloads_total{outcome="done"} `)
	})
	b.must("systemctl", "kill", "--signal=KILL", "reporterd")
	eventually(t, 20*time.Second, "it is started again", func() bool {
		return strings.TrimSpace(b.must("systemctl", "show", "--value", "--property=NRestarts", "reporterd")) == "1"
	})
	service = b.listening()
	backend.failReports(fault{Status: 503})
	service.send(hit("1001", "app2"))
	b.must("dpkg", "--install", "/young.deb")
	backend.heal()
	service = b.listening()
	assert.EqualValues(t, 2, service.drained(20*time.Second).Events.Delivered)
	assert.Contains(t, metrics(service), `version="1.1.0"`, "the upgrade started the new one")
	assert.EqualValues(t, before+2, backend.usage()["1001"]["app2"]["hits"])
	b.must("dpkg", "--purge", "reporterd")
	assert.NoDirExists(t, d.path("/var/lib/reporterd"))
	assert.Contains(t, b.must("journalctl", "--unit=reporterd", "--output=cat"), "Deactivated successfully", "it stopped in good order")
}

// held waits until a lane is held for its token.
func (d *daemon) held() {
	d.t.Helper()
	eventually(d.t, 20*time.Second, "the lane is held", func() bool {
		st := d.status()
		return len(st.Lanes) == 1 && st.Lanes[0].State == "held"
	})
}
