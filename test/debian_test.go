package test

import (
	"bytes"
	"context"
	"errors"
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

// debianTree is the Debian that mmdebstrap makes once for all tests of a run. Each test works on a copy.
var debianTree struct {
	once   sync.Once
	cancel context.CancelFunc // ends mmdebstrap
	made   chan struct{}      // closed once mmdebstrap has ended; the fields below are written before
	dir    string             // holds the tree, in the directory "root"
	suite  string
	took   time.Duration
	out    bytes.Buffer
	err    error
}

// cleanDebian is a fresh Debian in a directory, with nothing but its required packages and systemd.
type cleanDebian struct {
	t    *testing.T
	root string
}

// newCleanDebian starts mmdebstrap unless an earlier test has, and returns a function that waits for it and copies its
// tree for this test. The mirror is the machine's own; without one the test is skipped.
func newCleanDebian(t *testing.T) (ready func() *cleanDebian) {
	t.Helper()
	debianTree.once.Do(func() {
		var ctx context.Context
		ctx, debianTree.cancel = context.WithCancel(context.Background())
		debianTree.made = make(chan struct{})
		go func() { // ends with mmdebstrap, which removeDebian ends
			defer close(debianTree.made)
			debianTree.err = makeDebian(ctx)
		}()
	})
	return func() *cleanDebian {
		t.Helper()
		<-debianTree.made
		if debianTree.err != nil {
			t.Skipf("!! SKIPPED: no clean Debian can be made, perhaps for want of a mirror: %v\n%s",
				debianTree.err, tail(strings.Split(debianTree.out.String(), "\n"), 5))
		}
		began := time.Now()
		d := &cleanDebian{t, filepath.Join(t.TempDir(), "debian")}
		out, err := exec.Command("cp", "-a", "--reflink=auto", filepath.Join(debianTree.dir, "root"), d.root).CombinedOutput()
		require.NoError(t, err, "%s", out)
		t.Logf("a clean Debian (%s), made in %v and copied in %v", debianTree.suite,
			debianTree.took.Round(100*time.Millisecond), time.Since(began).Round(100*time.Millisecond))
		return d
	}
}

// makeDebian makes the tree. It returns once mmdebstrap has ended, at the latest ten minutes after its start.
func makeDebian(ctx context.Context) (err error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return err
	}
	_, suite, _ := strings.Cut(string(release), "VERSION_CODENAME=")
	debianTree.suite, _, _ = strings.Cut(suite, "\n")
	if debianTree.dir, err = os.MkdirTemp("", "reporterd-debian-"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	began := time.Now()
	cmd := exec.CommandContext(ctx, "mmdebstrap", "--quiet", "--variant=minbase", "--include=systemd-sysv", `--aptopt=Acquire::Languages "none"`,
		"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-include=/usr/share/doc/reporterd/*", debianTree.suite, filepath.Join(debianTree.dir, "root"))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it cleans up
	cmd.WaitDelay = 20 * time.Second
	cmd.Stdout, cmd.Stderr = &debianTree.out, &debianTree.out
	err = errors.Join(cmd.Run(), ctx.Err())
	debianTree.took = time.Since(began)
	return err
}

// removeDebian ends mmdebstrap if it still runs, and deletes what newCleanDebian made.
func removeDebian() {
	if debianTree.made == nil {
		return
	}
	debianTree.cancel()
	<-debianTree.made
	if debianTree.dir != "" {
		_ = os.RemoveAll(debianTree.dir)
	}
}
