package test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var diskRows = map[string][]remedy{
	"Unbalanced": {
		{text: "keep a copy of the data directory and of the log, and report it.", left: "no way is known to bring it about"},
		{text: "A restart counts from the disk.", act: (*runbook).countsFromTheDisk},
	},
	"EventsLost": {
		{text: "replace the disk, as under [ReporterdSlowDisk](#reporterdslowdisk). `quarantine/` has a copy of each damaged range.", act: (*runbook).replacesTheDisk},
		{text: "Producers that sent events with ids can send those of that time again.", act: (*runbook).sendsAgain},
	},
	"Quarantine": {
		{text: "keep a copy elsewhere, remove the files, restart. A start finds the same damage again until the events after it in the file are delivered: then wait, and repeat this. They count against `spool.max_bytes` until then.", act: (*runbook).emptiesTheQuarantine},
	},
	"DiskFailing": {
		{text: "make the disk writable. No restart is needed: each request tries a new segment.", act: (*runbook).writesAgain},
	},
	"DiskUnreadable": {
		{text: "correct that cause; a running daemon needs no restart.", act: (*runbook).readsAgain},
		{text: "A sector that can never be read again: stop the daemon, copy the file with `ddrescue` (or `dd conv=noerror,sync bs=4096`), which leaves zeros for what cannot be read, keep the original, put the copy in its place, start. What is missing is then damage like any other: in `quarantine/`, and counted in `lost`.", act: (*runbook).replacesASector},
	},
	"SlowDisk": {
		{text: "give the data directory a disk of its own, or a faster one: stop the daemon, copy the directory there with `cp -a`, mount the disk in its place, `sudo -u reporterd reporterd spool restored --resend`, start.", act: (*runbook).getsADiskOfItsOwn},
		{text: "Without that command, what waits is parked, since the directory is a copy ([backup.md](backup.md)).", left: "to know"},
		{text: "Send more events in a request.", act: (*runbook).sendsMoreAtOnce},
	},
	"SpoolFilling": {
		{text: "get delivery going (the alerts above).", by: "TestQuota"},
		{text: "To gain time: free some disk, raise `spool.max_bytes`, restart.", act: (*runbook).hasMoreRoom},
	},
	"SpoolFull": {
		{text: "the same, immediately.", by: "TestFullDisk"},
		{text: "Never delete files from `journal/` or `batches/`: those are the events.", left: "what not to do"},
	},
	"SyncOff": {
		{text: "set `spool.sync: always` and restart, unless that was the intention.", act: (*runbook).syncs},
	},
}

func (x *runbook) countsFromTheDisk() {
	x.begin()
	x.daemon.send(hit("1001", "app1"))
	x.delivered(1)
	x.always(map[string]any{"status": 503}, "report")
	x.daemon.send(hit("1001", "app1"), hit("1001", "app2"))
	x.restart()
	e := x.daemon.status().Events // which adds up
	assert.Equal(x.t, []uint64{3, 1, 2}, []uint64{e.Accepted, e.Delivered, e.Pending})
	assert.Contains(x.t, x.run("spool", "stats"), "pending")
}

// damaged is a daemon that found a flipped bit in the middle of its journal, and goes on.
func (x *runbook) damaged() {
	x.settings.set("backend.url", unreachable).set("batch.flush_interval", "1h")
	x.begin()
	for i := range 50 {
		e := hit("1001", fmt.Sprintf("bulk%d", i+1))
		e.ID = fmt.Sprint("event-", i)
		x.daemon.send(e)
	}
	x.daemon.kill()
	flip(x.t, x.settings.dataDir(), "journal", "bulk25")
	x.settings.set("backend.url", x.backend.url).rewrite(x.t, x.file)
	x.daemon = launch(x.t, x.file)
	x.daemon.ready()
	x.sees("lost", func() bool { return x.figure("reporterd_events_lost_total") == 1 })
	require.NotEmpty(x.t, filesIn(x.t, x.settings.dataDir(), "quarantine"))
}

func (x *runbook) replacesTheDisk() {
	x.damaged()
	x.moves()
	found := false
	for _, name := range filesIn(x.t, x.settings.dataDir(), "quarantine") {
		text, err := os.ReadFile(name)
		require.NoError(x.t, err)
		found = found || strings.Contains(string(text), "bulk24") // 25, with a bit flipped
	}
	assert.True(x.t, found, "the damaged range")
	x.sees("the rest is delivered", func() bool { x.daemon.flush(); return x.backend.usage().counters().hits() == 49 })
}

func (x *runbook) getsADiskOfItsOwn() {
	x.always(map[string]any{"status": 503}, "report", "authorize")
	x.begin()
	x.daemon.send(hit("1001", "app1"))
	x.moves()
	x.backend.heal()
	x.delivered(1)
}

// moves has the data directory on another disk, mounted where the one before was.
func (x *runbook) moves() {
	x.daemon.kill() // a stop would send what waits
	old := x.settings.dataDir() + ".old"
	require.NoError(x.t, os.Rename(x.settings.dataDir(), old))
	out, err := exec.Command("cp", "-a", old, x.settings.dataDir()).CombinedOutput()
	require.NoError(x.t, err, "%s", out)
	x.run("spool", "restored", "--resend")
	x.daemon = launch(x.t, x.file)
	x.daemon.ready()
}

func (x *runbook) sendsAgain() {
	x.damaged()
	for i := range 50 {
		e := hit("1001", fmt.Sprintf("bulk%d", i+1))
		e.ID = fmt.Sprint("event-", i)
		x.daemon.send(e)
	}
	x.sees("each is counted once", func() bool { x.daemon.flush(); return x.backend.usage().counters().hits() == 50 })
}

func (x *runbook) emptiesTheQuarantine() {
	x.damaged()
	x.daemon.send(hit("1001", "bulk1")) // in a segment of its own, behind which the damaged one goes
	x.daemon.drained(20 * time.Second)
	x.daemon.stop()
	for _, name := range filesIn(x.t, x.settings.dataDir(), "quarantine") {
		require.NoError(x.t, os.Rename(name, filepath.Join(x.t.TempDir(), "kept")))
	}
	x.daemon = launch(x.t, x.file)
	x.daemon.ready()
	assert.Zero(x.t, x.figure("reporterd_spool_quarantined_bytes"))
}

func (x *runbook) writesAgain() {
	x.settings.set("spool.max_bytes", "4MiB").set("batch.flush_interval", "1h")
	x.begin()
	journal := filepath.Join(x.settings.dataDir(), "journal")
	require.NoError(x.t, os.Rename(journal, journal+".away"))
	events := make([]event, 1000)
	for i := range events {
		events[i] = hit("1001", "bulk1")
	}
	x.sees("refused", func() bool { return x.daemon.offer(events...).status == http.StatusServiceUnavailable })
	assert.Positive(x.t, x.figure("reporterd_commit_failed_total"))
	require.NoError(x.t, os.Rename(journal+".away", journal))
	x.sees("taken", func() bool { return x.daemon.offer(events...).status == http.StatusAccepted })
	s := x.daemon.drained(20 * time.Second)
	assert.Equal(x.t, s.Events.Accepted, s.Events.Delivered)
}

func (x *runbook) readsAgain() {
	x.begin()
	x.always(map[string]any{"status": 503}, "report")
	x.daemon.send(hit("1001", "bulk1"))
	x.daemon.flush()
	segments, err := filepath.Glob(filepath.Join(x.settings.dataDir(), "batches", "*.seg"))
	require.NoError(x.t, err)
	require.NotEmpty(x.t, segments)
	for _, name := range segments {
		require.NoError(x.t, os.Rename(name, name+".away"))
	}
	x.sees("it cannot be read", func() bool { return x.figure("reporterd_spool_read_failing") > 0 })
	for _, name := range segments {
		require.NoError(x.t, os.Rename(name+".away", name))
	}
	x.backend.heal()
	x.delivered(1)
	x.sees("it can be read", func() bool { return x.figure("reporterd_spool_read_failing") == 0 })
}

func (x *runbook) replacesASector() {
	x.settings.set("backend.url", unreachable).set("batch.flush_interval", "1h")
	x.begin()
	for i := range 400 {
		x.daemon.send(hit("1001", fmt.Sprintf("bulk%d", i%50+1)))
	}
	x.daemon.kill()
	segments := filesIn(x.t, x.settings.dataDir(), "journal")
	original := filepath.Join(x.t.TempDir(), "original")
	require.NoError(x.t, os.Rename(segments[0], original))
	// What dd leaves of a file whose second sector cannot be read: the rest, and zeros.
	out, err := exec.Command("sh", "-c", `dd conv=noerror,sync bs=4096 if="$0" of="$1" && dd conv=notrunc bs=4096 seek=1 count=1 if=/dev/zero of="$1"`,
		original, segments[0]).CombinedOutput()
	require.NoError(x.t, err, "%s", out)
	x.settings.set("backend.url", x.backend.url).rewrite(x.t, x.file)
	x.daemon = launch(x.t, x.file)
	x.daemon.ready()
	s := x.daemon.drained(20 * time.Second)
	assert.Positive(x.t, s.Events.Lost)
	assert.EqualValues(x.t, 400, s.Events.Lost+s.Events.Delivered)
	assert.NotEmpty(x.t, filesIn(x.t, x.settings.dataDir(), "quarantine"))
}

func (x *runbook) sendsMoreAtOnce() {
	x.begin()
	for range 100 {
		x.daemon.send(hit("1001", "app1"))
	}
	alone := x.figure("reporterd_commit_seconds_count")
	events := make([]event, 100)
	for i := range events {
		events[i] = hit("1001", "app1")
	}
	x.daemon.send(events...)
	assert.Less(x.t, x.figure("reporterd_commit_seconds_count")-alone, alone, "fewer waits for the disk for as many events")
}

func (x *runbook) hasMoreRoom() {
	x.settings.set("spool.max_bytes", "4MiB").set("batch.flush_interval", "1h")
	x.begin()
	kept, refusal := fillUp(x.daemon, false)
	assert.Contains(x.t, []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}, refusal.status)
	x.settings.set("spool.max_bytes", "256MiB")
	x.daemon.kill() // a stop would send what waits
	x.settings.rewrite(x.t, x.file)
	x.daemon = launch(x.t, x.file)
	x.daemon.ready()
	x.daemon.send(hit("1001", "app1"))
	assert.Greater(x.t, x.figure("reporterd_spool_free_bytes"), 0.1*x.figure("reporterd_spool_quota_bytes"))
	assert.EqualValues(x.t, kept+1, x.daemon.drained(20*time.Second).Events.Delivered)
}

func (x *runbook) syncs() {
	x.settings.set("spool.sync", "never")
	x.begin()
	assert.EqualValues(x.t, 1, x.figure("reporterd_spool_sync_info", `mode="never"`))
	x.settings.set("spool.sync", "always")
	x.restart()
	assert.Zero(x.t, x.figure("reporterd_spool_sync_info", `mode="never"`))
}
