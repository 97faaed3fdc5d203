package test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// faultRun is one cell of the matrix being run.
type faultRun struct {
	*trial
	cell   syscallCell
	during time.Duration // how long the calls fail
}

func newFaultRun(t *testing.T, c syscallCell, during time.Duration, seed uint64) *faultRun {
	s := newSettings(t, "").set("spool.max_bytes", "4MiB") // segments of a quarter of a MiB and less: they come and go
	if c.phase == atStart {
		s.set("batch.flush_interval", "1h") // so that the journal holds events when the daemon is killed
	}
	return &faultRun{trial: newTrial(t, s, c.String(), seed), cell: c, during: during}
}

// run is the cell from its first daemon to its row in the table.
func (f *faultRun) run(table *faultTable) {
	begun := time.Now()
	defer func() {
		f.row.took = time.Since(begun)
		table.add(f.row)
	}()
	d := f.serve()
	switch f.cell.phase {
	case underLoad:
		d = f.loaded(d)
	case whileDraining:
		d = f.draining(d)
	default:
		d = f.starting(d)
	}
	f.finish(d)
}

// end ends a life while its calls fail. What it was told may then not have been recorded.
func (f *faultRun) end(d *daemon) {
	f.load.aim("")
	f.killed[f.row.lives] = true
	if f.cell.killed {
		d.kill()
		return
	}
	d.signal(syscall.SIGTERM)
}

// loaded has calls fail while events come and are reported.
func (f *faultRun) loaded(d *daemon) *daemon {
	if f.cell.part == letterFiles {
		f.haunt(d)
	}
	s := f.inject(d)
	f.reach(d, s)
	f.watch(d)
	if f.cell.killed {
		f.end(d)
	}
	f.release(s)
	if f.cell.killed {
		return f.next(d)
	}
	return d
}

// draining has calls fail while a backlog is reported, and then while the daemon stops.
func (f *faultRun) draining(d *daemon) *daemon {
	f.witness.refuses(true)
	pause(f.t.Context(), 400*time.Millisecond)
	if f.cell.part == letterFiles {
		f.haunt(d)
	}
	f.load.aim("")
	s := f.inject(d)
	f.witness.refuses(false)
	f.reach(d, s)
	pause(f.t.Context(), f.during/2)
	f.end(d)
	pause(f.t.Context(), f.during/2)
	f.release(s)
	return f.next(d)
}

// starting has calls fail while the daemon starts on what a killed one left. One that cannot start is started again, as
// a service manager does.
func (f *faultRun) starting(d *daemon) *daemon {
	d.flush()
	f.witness.refuses(true)
	pause(f.t.Context(), 200*time.Millisecond)
	d.flush() // tried, and refused
	pause(f.t.Context(), 200*time.Millisecond)
	f.load.aim("")
	f.killed[f.row.lives] = true
	d.kill()
	f.witness.refuses(false)
	d, s := f.restarted()
	if f.cell.killed && !d.gone() {
		f.end(d)
	}
	f.release(s)
	if f.cell.killed || poll(shortly(f.t), d.gone) {
		return f.next(d)
	}
	d.ready()
	return d
}

// restarted starts a daemon whose calls fail, again and again while it exits and the fault lasts, as a service manager
// does. The fault lasts from the first call that it hits.
func (f *faultRun) restarted() (d *daemon, s *strace) {
	var end time.Time
	for {
		d = f.begin(launchStopped)
		f.killed[f.row.lives] = true
		s = f.inject(d)
		d.signal(syscall.SIGCONT)
		f.reach(d, s)
		if end.IsZero() {
			end = time.Now().Add(f.during)
		}
		ctx, cancel := context.WithDeadline(f.t.Context(), end)
		exited := poll(ctx, d.gone)
		cancel()
		if !exited || time.Now().After(end) {
			return d, s
		}
		assert.NotContains(f.t, []int{0, 2}, d.cmd.ProcessState.ExitCode(), "a start that failed says so, and does not blame the configuration")
		f.release(s)
		pause(f.t.Context(), 100*time.Millisecond)
	}
}

// reach waits for the first call that the fault hits. A daemon that became ready, or has gone, is past those of its start.
func (f *faultRun) reach(d *daemon, s *strace) {
	bound := 5 * time.Second
	if f.cell.phase == atStart {
		bound = 15 * time.Second // strace stops the process at every call
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), bound)
	defer cancel()
	poll(ctx, func() bool {
		return s.injected() > 0 || d.gone() || f.cell.phase == atStart && strings.Contains(tail(d.logged(), 5), `"msg":"ready"`)
	})
}

// shortly is a context of two seconds: time for a start to fail.
func shortly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// inject lets the cell's fault begin.
func (f *faultRun) inject(d *daemon) *strace {
	return inject(f.t, d.cmd.Process.Pid, injection{f.cell.calls(), f.cell.how(), f.paths()})
}

// release lets the cell's fault end.
func (f *faultRun) release(s *strace) {
	s.detach()
	f.row.hits += s.injected()
}

// paths are the files whose calls fail. None: of all.
func (f *faultRun) paths() (paths []string) {
	var roots []string
	switch part := f.cell.part; {
	case part == "ledger":
		return []string{filepath.Join(f.dataDir, "ledger.db")}
	case part == wholeDirectory && f.cell.phase == atStart:
		roots = []string{f.dataDir}
	case part == wholeDirectory, part == letterFiles && f.cell.phase != atStart:
		return nil
	default:
		roots = []string{filepath.Join(f.dataDir, part)}
	}
	for _, root := range roots {
		_ = filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
			if err == nil { // files come and go
				paths = append(paths, name)
			}
			return nil
		})
	}
	return paths
}

// watch lets the fault last and sees what the daemon says meanwhile. While nothing can be written nothing may be
// acknowledged, except in the beginning what was under way.
func (f *faultRun) watch(d *daemon) {
	late := f.observe(d, f.during)
	if f.cell.writing() {
		assert.Zero(f.t, late, "acknowledged while nothing can be written")
		assert.True(f.t, f.row.unready, "/readyz answers 503 while nothing can be written")
	}
	if f.cell.reading() {
		assert.True(f.t, f.row.unready, "/readyz answers 503 while nothing can be read")
	}
}
