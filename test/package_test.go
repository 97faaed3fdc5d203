package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// packagesVariable turns on what builds, installs and removes packages: root, and Debian's mmdebstrap.
const packagesVariable = "REPORTERD_PACKAGES"

// path is where a file of it is for us.
func (d *cleanDebian) path(name string) string { return filepath.Join(d.root, name) }

func (d *cleanDebian) read(name string) string {
	d.t.Helper()
	text, err := os.ReadFile(d.path(name))
	require.NoError(d.t, err)
	return string(text)
}

// command prepares a program inside, as a user of it.
func (d *cleanDebian) command(user string, args ...string) *exec.Cmd {
	cmd := exec.Command("chroot", append([]string{"--userspec=" + user, d.root}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}
	return cmd
}

// do runs a program inside as root and returns what it says.
func (d *cleanDebian) do(args ...string) string {
	d.t.Helper()
	out, err := d.command("root:root", args...).CombinedOutput()
	require.NoError(d.t, err, "%s: %s", strings.Join(args, " "), out)
	return string(out)
}

// install puts a package in, over the one before.
func (d *cleanDebian) install(file string) string {
	d.t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(d.t, err)
	require.NoError(d.t, os.WriteFile(d.path("/package.deb"), text, 0o644))
	return d.do("dpkg", "--install", "/package.deb")
}

// serve runs the installed daemon as the unit would.
func (d *cleanDebian) serve() *daemon {
	d.t.Helper()
	r := &daemon{process: start(d.t, d.command("reporterd:reporterd", "/usr/bin/reporterd", "serve", "--config", "/etc/reporterd/reporterd.yaml"))}
	r.ready()
	return r
}

// packages builds everything for this machine's architecture, in a clone of the last commit at some place, and returns
// the path without its ending, and the checksums.
func packages(t *testing.T, version, place string) (path, sums string) {
	t.Helper()
	clone, dir := filepath.Join(t.TempDir(), place), t.TempDir()
	text, err := exec.Command("git", "clone", "-q", "..", clone).CombinedOutput()
	require.NoError(t, err, "%s", text)
	cmd := exec.Command(filepath.Join(clone, "deploy/build"), dir, runtime.GOARCH)
	cmd.Env = append(os.Environ(), "VERSION="+version, "TZ="+map[bool]string{true: "Asia/Tokyo", false: "UTC"}[len(place) > 9])
	began := time.Now()
	var said bytes.Buffer // such as what the go command downloads the first time
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, "%s%s", out, &said)
	t.Logf("version %s built after %v:\n%s", version, time.Since(began).Round(100*time.Millisecond), out)
	return filepath.Join(dir, fmt.Sprintf("reporterd_%s_linux_%s", version, runtime.GOARCH)), string(out)
}

// TestPackage: on a clean Debian the deb installs, delivers, is upgraded with usage waiting in its spool, and is
// removed; purging it never throws usage away that was not delivered. Then once more with systemd, as a service.
func TestPackage(t *testing.T) {
	if os.Getenv(packagesVariable) == "" {
		t.Skipf("builds and installs packages (root, Debian's mmdebstrap): %s=1", packagesVariable)
	}
	t.Parallel()
	ready := newCleanDebian(t)
	old, sums := packages(t, "1.0.0", "here")
	_, same := packages(t, "1.0.0", "in/another/place") // and time zone, and some seconds later
	require.Equal(t, sums, same, "a build can be reproduced")
	young, _ := packages(t, "1.1.0", "here")
	d := ready()
	b := sandbox(t)
	t.Log(d.install(old + ".deb"))
	assert.Equal(t, "reporterd:reporterd 700\n", d.do("stat", "-c", "%U:%G %a", "/var/lib/reporterd"))
	assert.Equal(t, "root:reporterd 640\n", d.do("stat", "-c", "%U:%G %a", "/etc/reporterd/reporterd.yaml"))
	assert.Equal(t, "root:reporterd 750\n", d.do("stat", "-c", "%U:%G %a", "/etc/reporterd/tokens"))
	assert.FileExists(t, d.path("/usr/share/man/man1/reporterd-serve.1.gz"))
	assert.FileExists(t, d.path("/usr/share/bash-completion/completions/reporterd"))
	assert.Contains(t, d.do("reporterd", "config", "check", "--config", "/etc/reporterd/reporterd.yaml"), "fine")

	config := strings.NewReplacer("https://su1.3scale.net", b.url, ":7070", ":0", ":7071", ":0", "services: []",
		`services: [{id: "1001", token: stoken1001}]`).Replace(d.read("/etc/reporterd/reporterd.yaml"))
	require.NoError(t, os.WriteFile(d.path("/etc/reporterd/reporterd.yaml"), []byte(config), 0o640))
	installed := d.serve()
	installed.send(hit("1001", "app2"))
	installed.drained(20 * time.Second)
	b.failReports(fault{Status: 503})
	installed.send(hit("1001", "app2"), hit("1001", "app2"))
	installed.stop()

	d.install(young + ".deb")
	assert.Contains(t, d.do("reporterd", "version"), "reporterd 1.1.0\n")
	assert.Equal(t, config, d.read("/etc/reporterd/reporterd.yaml"), "what was configured stays")
	b.heal()
	upgraded := d.serve()
	assert.EqualValues(t, 3, upgraded.drained(20*time.Second).Events.Delivered, "what waited is delivered")
	b.failReports(fault{Status: 503})
	upgraded.send(hit("1001", "app2"))
	upgraded.stop()

	assert.Contains(t, d.do("dpkg", "--remove", "reporterd"), "not delivered")
	assert.NoFileExists(t, d.path("/usr/bin/reporterd"))
	assert.Equal(t, config, d.read("/etc/reporterd/reporterd.yaml"))
	assert.Contains(t, d.do("dpkg", "--purge", "reporterd"), "is kept")
	assert.NoDirExists(t, d.path("/etc/reporterd"))
	assert.NotEmpty(t, filesIn(t, d.path("/var/lib/reporterd"), "batches"), "it holds an event")

	d.install(young + ".deb")
	require.NoError(t, os.WriteFile(d.path("/etc/reporterd/reporterd.yaml"), []byte(config), 0o640))
	b.heal()
	again := d.serve()
	assert.EqualValues(t, 4, again.drained(20*time.Second).Events.Delivered, "nothing was lost by purging")
	again.stop()
	d.do("dpkg", "--purge", "reporterd")
	assert.NoDirExists(t, d.path("/var/lib/reporterd"), "nothing is in it")
	assert.NotContains(t, d.read("/etc/passwd"), "reporterd")
	assert.EqualValues(t, 4, b.usage()["1001"]["app2"]["hits"])
	d.keepsWhatAnAdministratorChanged(old+".deb", young+".deb")
	d.unit(old+".deb", young+".deb", b)
	assertRPM(t, young+".rpm")
}

// assertRPM reads the rpm as rpm does, where it is there.
func assertRPM(t *testing.T, file string) {
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Log("!! SKIPPED: no rpm, so the rpm package is built and not read")
		return
	}
	out, err := exec.Command("rpm", "--query", "--package", "--list", "--scripts", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, want := range []string{"/usr/bin/reporterd\n", "/usr/lib/systemd/system/reporterd.service\n", "/etc/reporterd/reporterd.yaml\n", "useradd"} {
		assert.Contains(t, string(out), want)
	}
}
