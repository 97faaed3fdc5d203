package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// containerVariable turns on what needs Debian's podman, and root.
const containerVariable = "REPORTERD_CONTAINER"

const imageUser = 65532 // of the Dockerfile

// podman builds images and runs containers, all of it in a directory of its own.
type podman struct {
	t   *testing.T
	dir string
}

// command prepares podman for a kernel that allows little. In a mount namespace of its own it sees the first version of
// control groups alone, for crun takes no mixture of both.
func (p *podman) command(args ...string) *exec.Cmd {
	own := "mount --make-rprivate /; umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\""
	all := []string{"-m", "sh", "-c", own, "sh", "podman", "--root", filepath.Join(p.dir, "root"), "--runroot", filepath.Join(p.dir, "run"),
		"--tmpdir", filepath.Join(p.dir, "tmp"), "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none"}
	return exec.Command("unshare", append(all, args...)...)
}

func (p *podman) do(args ...string) string {
	p.t.Helper()
	out, err := p.command(args...).CombinedOutput()
	require.NoError(p.t, err, "podman %s: %s", strings.Join(args, " "), out)
	return string(out)
}

// image is what podman knows of an image.
type image struct {
	Size   int64
	Config struct {
		User, StopSignal      string
		Env, Entrypoint, Cmd  []string
		ExposedPorts, Volumes map[string]struct{}
	}
	Healthcheck struct {
		Test                                    []string
		Interval, Timeout, StartPeriod, Retries int64
	}
}

func (p *podman) inspect(name string) (all []image) {
	p.t.Helper()
	require.NoError(p.t, json.Unmarshal([]byte(p.do("image", "inspect", name)), &all))
	return all
}

// run prepares a container on the host's network.
func (p *podman) run(args ...string) *exec.Cmd {
	return p.command(append([]string{"run", "--rm", "--pull", "never", "--network", "host", "--cgroups", "disabled", "--read-only",
		"--cap-drop", "ALL", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"}, args...)...)
}

// TestImage: the image of the static binary is small and not root's; in it the daemon runs on a read-only system,
// says that it is healthy, delivers, stops in good order, and goes on from its volume.
func TestImage(t *testing.T) {
	if os.Getenv(containerVariable) == "" {
		t.Skipf("needs podman and root: %s=1", containerVariable)
	}
	dist := t.TempDir()
	cmd := exec.Command("../deploy/build", dist, runtime.GOARCH)
	cmd.Env = append(os.Environ(), "PACKAGERS=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	p := &podman{t, t.TempDir()}
	p.do("build", "--isolation", "chroot", "--format", "docker", "--build-arg", "TARGETARCH="+runtime.GOARCH, "-f", "../deploy/Dockerfile", "-t", "reporterd", filepath.Join(dist, "image"))
	t.Cleanup(func() { p.do("rm", "--all", "--force", "--time", "0") })
	if out, err := p.run("localhost/reporterd", "version").CombinedOutput(); err != nil {
		t.Skipf("!! SKIPPED: this kernel lets podman run nothing: %s", out)
	}
	images := p.inspect("localhost/reporterd")
	archives, err := filepath.Glob(filepath.Join(dist, "*.image.tar"))
	require.NoError(t, err)
	require.Len(t, archives, 1)
	loaded := strings.TrimSpace(strings.TrimPrefix(p.do("load", "--quiet", "--input", archives[0]), "Loaded image:"))
	packed := p.inspect(loaded)
	assert.Equal(t, images[0].Config, packed[0].Config, "the archive is the image of the Dockerfile")
	assert.Equal(t, images[0].Healthcheck, packed[0].Healthcheck)
	p.do("tag", loaded, "localhost/reporterd") // what follows runs the archive
	assert.Equal(t, fmt.Sprint(imageUser, ":", imageUser), strings.ReplaceAll(images[0].Config.User, " ", ""))
	assert.Equal(t, []string{"CMD", "/usr/bin/reporterd", "healthcheck"}, images[0].Healthcheck.Test)
	assert.Less(t, images[0].Size, int64(40<<20))
	t.Logf("the image has %.1f MiB", float64(images[0].Size)/(1<<20))

	b := sandbox(t)
	s := newSettings(t, b.url)
	volume := s.dataDir()
	require.NoError(t, os.MkdirAll(volume, 0o700))
	require.NoError(t, os.Chown(volume, imageUser, imageUser))
	file := s.set("data_dir", "/var/lib/reporterd").write(t)
	require.NoError(t, os.Chmod(file, 0o644))
	serve := func() *daemon {
		d := &daemon{process: start(t, p.run("--name", "reporterd", "-v", volume+":/var/lib/reporterd", "-v", file+":/etc/reporterd/reporterd.yaml:ro", "localhost/reporterd"))}
		d.ready()
		return d
	}
	d := serve()
	out, err = p.command("exec", "reporterd", "/usr/bin/reporterd", "healthcheck").CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "ok")
	b.failReports(fault{Status: 503})
	d.send(hit("1001", "app2"))
	d.stop()
	b.heal()
	again := serve()
	assert.EqualValues(t, 1, again.drained(20*time.Second).Events.Delivered)
	again.stop()
	info, err := os.Stat(filepath.Join(volume, "batches"))
	require.NoError(t, err)
	assert.EqualValues(t, imageUser, info.Sys().(*syscall.Stat_t).Uid)
}
