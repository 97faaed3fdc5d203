package partition

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/batcher"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// weekVariable makes a day of TestWeek last 24 hours (make soak). Without it a day has 10 minutes.
const weekVariable = "REPORTERD_WEEK"

const (
	weekServices     = 20
	weekApplications = 10 // of each service, in use at a time; one of them is new each day
	weekStep         = 10 * time.Second
)

// week is a partition that lives for seven days.
type week struct {
	*testing.T
	p       *Partition
	backend *absentBackend
	dir     string
	day     time.Duration // how long one is
	sent    int           // events
}

// holding is what a process holds at the end of a day.
type holding struct {
	heap, disk, ledger int64 // bytes; disk: without ledger
	goroutines, opened int   // opened: files
}

// TestWeek has everything happen on each of seven days: usage with ids, repeated by its producers, a new application of each service,
// a backend that is away for a twelfth of the day, a restart. What the process holds at the end of the last day is what it held at the
// end of the third, its ledger has not grown by more on the last day than on the third, and every event was delivered once.
func TestWeek(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("open files are counted in /proc")
	}
	day := 10 * time.Minute
	if os.Getenv(weekVariable) != "" {
		day = 24 * time.Hour
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &week{T: t, backend: &absentBackend{}, dir: dir, day: day}
		w.open()
		var days []holding
		for n := range 7 {
			w.live(n)
			days = append(days, w.holds())
			t.Logf("day %d: %d events, heap %d KiB, disk %d KiB, ledger %d KiB, %d goroutines, %d files",
				n+1, w.sent, days[n].heap>>10, days[n].disk>>10, days[n].ledger>>10, days[n].goroutines, days[n].opened)
		}
		early, late := days[2], days[6]
		assert.LessOrEqual(t, late.heap, early.heap*5/4+1<<20)
		assert.LessOrEqual(t, late.disk, early.disk*5/4+2<<20, "a segment of 1 MiB of each log may come and go")
		assert.LessOrEqual(t, late.ledger-days[5].ledger, early.ledger-days[1].ledger+2<<20, "it keeps the evidence of batches for five days")
		assert.LessOrEqual(t, late.goroutines, early.goroutines)
		assert.LessOrEqual(t, late.opened, early.opened+2)
		c := w.p.spool.Counts()
		assert.EqualValues(t, w.sent, c.Accepted)
		assert.EqualValues(t, w.sent, c.Delivered, "%+v", c)
		w.close()
	})
}

// live lets a day pass: a restart in the middle, an outage after two thirds.
func (w *week) live(day int) {
	restart, away, back := w.day/2, w.day*2/3, w.day*3/4
	for at := time.Duration(0); at < w.day; at += weekStep {
		switch at.Truncate(weekStep) {
		case restart.Truncate(weekStep):
			w.close()
			w.open()
		case away.Truncate(weekStep):
			w.backend.set(true)
		case back.Truncate(weekStep):
			w.backend.set(false)
		}
		w.use(day)
		<-time.After(weekStep)
	}
	for range 60 {
		if w.p.Pending() == 0 {
			break
		}
		<-time.After(time.Minute)
	}
	require.Zero(w, w.p.Pending(), "day %d", day)
}

// use has each service report an event, and all of them repeat it.
func (w *week) use(day int) {
	events := make([]event.Event, weekServices)
	for i := range events {
		app := day + w.sent/weekServices%weekApplications
		events[i] = event.Event{ServiceID: fmt.Sprint(i), ID: fmt.Sprint(w.sent + i), Transaction: threescale.Transaction{
			Application: threescale.Application{ID: fmt.Sprint("app", app)}, Usage: threescale.Usage{{Metric: "hits", Value: 1}}, Timestamp: time.Now().Unix(),
		}}
	}
	w.sent += len(events)
	for range 2 {
		_, err := w.p.Append(w.Context(), events)
		require.NoError(w, err)
	}
}

// holds measures the process, with nothing under way.
func (w *week) holds() (h holding) {
	synctest.Wait()
	h.heap, h.goroutines = int64(heap()), runtime.NumGoroutine()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(w, err)
	h.opened = len(entries)
	require.NoError(w, filepath.WalkDir(w.dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if e.Name() == ledger.FileName {
			h.ledger = info.Size()
		} else {
			h.disk += info.Size()
		}
		return nil
	}))
	return h
}

func (w *week) open() {
	client := threescale.ClientOptions{URL: "http://backend.example", Transport: w.backend, Timeout: 10 * time.Second}
	services := make([]event.Service, weekServices)
	for i := range services {
		services[i] = event.Service{ID: fmt.Sprint(i), Credentials: threescale.Credentials{ServiceToken: "t"}}
	}
	p, err := Open(Options{
		Dir: w.dir, Log: zap.NewNop(), Services: services,
		Spool:   spool.Options{Dir: filepath.Join(w.dir, "spool"), Sync: spool.Never, DedupeWindow: 10 * time.Minute, KeepChanges: true, SegmentBytes: 1 << 20},
		Batcher: batcher.Options{FlushInterval: 5 * time.Second, MaxInterval: 20 * time.Second, Aggregate: true},
		Proof:   ProofOptions{Life: 30 * time.Minute, NegativeCache: time.Minute, ProbeRate: 5000},
		Ledger:  &ledger.Options{Dir: w.dir, Keep: 48 * time.Hour, MaxBytes: 1 << 30},
		Reports: client, Authorizations: client, Probes: client,
	})
	require.NoError(w, err)
	require.NoError(w, p.Start(w.Context()))
	w.p = p
}

func (w *week) close() {
	require.NoError(w, w.p.Stop(w.Context()))
	require.NoError(w, w.p.Close(true))
}
