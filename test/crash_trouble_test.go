package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// startFailed is how a life ends whose start met an error of the disk. It is no kill.
const startFailed = "start failed"

// noDescriptors is the trouble that also keeps other files than the spool's from being opened.
const noDescriptors = "no descriptors"

// troubledLives is the part of the lives in which the machine answers with errors, in percent.
const troubledLives = 60

// unrest makes system calls of one daemon fail for a while, again and again, and damages nothing: there are no
// descriptors left (EMFILE), files and directories are not where they were (ENOENT), or cannot be opened (ELOOP)
// or read (EISDIR) under their name.
type unrest struct {
	dir    string
	daemon *daemon
	rand   *rand.Rand
	ready  atomic.Bool // before that a missing file would be a loss and no trouble: only descriptors run out
	counts map[string]int
	cancel context.CancelFunc
	ended  chan struct{}
}

// disturb begins the unrest of a life, or not. What it returns ends it, with everything as it was, and has to be
// called before the next life begins.
func (h *history) disturb(d *daemon) (u *unrest) {
	u = &unrest{dir: h.dataDir, daemon: d, counts: h.troubles, ended: make(chan struct{}),
		rand: rand.New(rand.NewPCG(h.rand.Uint64(), uint64(h.life)))}
	ctx, cancel := context.WithCancel(h.t.Context())
	u.cancel = cancel
	if h.calm || h.rand.IntN(100) >= troubledLives {
		close(u.ended)
		return u
	}
	go u.run(ctx) // ends with calm
	return u
}

// calm ends the unrest and returns once everything is as it was. Calling it again does nothing.
func (u *unrest) calm() {
	u.cancel()
	<-u.ended
}

func (u *unrest) run(ctx context.Context) {
	defer close(u.ended)
	for ctx.Err() == nil {
		quiet := 60 * time.Millisecond
		if !u.ready.Load() {
			quiet = 600 * time.Millisecond // most starts get through
		}
		pause(ctx, u.moment(quiet))
		if undo := u.begin(); undo != nil {
			pause(ctx, u.moment(250*time.Millisecond))
			undo()
		}
	}
}

func (u *unrest) moment(most time.Duration) time.Duration {
	return time.Duration(u.rand.Int64N(int64(most)))
}

// begin draws a trouble and begins it. It returns nil when that was not possible.
func (u *unrest) begin() (undo func()) {
	if n := u.rand.IntN(3); n == 0 || !u.ready.Load() {
		return u.note(noDescriptors, u.starve())
	}
	if u.rand.IntN(2) == 0 {
		name := []string{"journal", "batches", "ids", "deadletters", "quarantine", "."}[u.rand.IntN(6)]
		return u.note("directory away", u.away(filepath.Join(u.dir, name), nil))
	}
	segments, _ := filepath.Glob(filepath.Join(u.dir, "*", "*.seg"))
	if len(segments) == 0 {
		return nil
	}
	name := segments[u.rand.IntN(len(segments))]
	switch u.rand.IntN(3) {
	case 0:
		return u.note("file away", u.away(name, nil))
	case 1:
		return u.note("file cannot be opened", u.away(name, func() { _ = os.Symlink(name, name) }))
	default:
		return u.note("file cannot be read", u.away(name, func() { _ = os.MkdirAll(filepath.Join(name, "in the way"), 0o700) }))
	}
}

// note counts a trouble that began.
func (u *unrest) note(what string, undo func()) func() {
	if undo != nil {
		u.counts[what]++
	}
	return undo
}

// starve leaves the daemon no descriptor.
func (u *unrest) starve() (undo func()) {
	undo, err := limitDescriptors(u.daemon.cmd.Process, 3)
	if err != nil {
		return nil
	}
	return undo
}

// away moves a file or directory out of the way and puts something in its place, if it is to. The undo moves it
// back, unless the daemon removed what was there: then it would have removed the file.
func (u *unrest) away(name string, replace func()) (undo func()) {
	name = filepath.Clean(name)
	aside := filepath.Join(filepath.Dir(u.dir), fmt.Sprintf("away-%d", u.rand.Uint64()))
	if os.Rename(name, aside) != nil {
		return nil
	}
	if replace == nil {
		return func() { _ = os.Rename(aside, name) }
	}
	replace()
	return func() {
		if _, err := os.Lstat(name); err != nil {
			_ = os.Remove(aside)
			return
		}
		_ = os.RemoveAll(name)
		_ = os.Rename(aside, name)
	}
}

// comesUp waits until the daemon is ready, which may take as many starts as there is trouble: it reports false when
// this one failed.
func (h *history) comesUp(d *daemon) bool {
	h.t.Helper()
	up := false
	eventually(h.t, 60*time.Second, "the daemon is ready, or gone", func() bool {
		if d.gone() {
			return true
		}
		traffic, admin := d.address("traffic"), d.address("admin")
		if traffic == "" || admin == "" {
			return false
		}
		d.traffic, d.admin = "http://"+traffic, "http://"+admin
		got, err := call(testClient, "GET", d.admin+"/readyz", "", nil)
		up = err == nil && got.status == 200
		return up
	})
	return up
}
