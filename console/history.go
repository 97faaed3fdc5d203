package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/internal/durable"
	"github.com/reporterd/reporterd/internal/outage"
	"github.com/reporterd/reporterd/internal/respond"
)

// A sample is kept every ten seconds, for six hours; the file of them is written once a minute.
const (
	historyEvery = 10 * time.Second
	historySpan  = 6 * time.Hour
	historyFiled = time.Minute
)

// HistoryOptions of NewHistory.
type HistoryOptions struct {
	File string // where the samples are kept over restarts; empty: they are not
	Log  *zap.Logger
}

// History keeps samples of the counters of the last six hours, one every ten seconds, so that a page that is opened, or loaded again,
// can show rates from before. They are in memory (100 KiB), and in a file, which is written once a minute and when Run ends: a crash
// loses a minute of them. Its methods may be called concurrently.
type History struct {
	snapshot func(lanes int) Snapshot
	options  HistoryOptions
	filed    time.Time      // used by Run only
	outage   *outage.Outage // of the file

	mu      sync.Mutex // guards samples
	samples []sample   // the oldest first
}

// sample are the counters at a moment.
type sample struct {
	at                                 time.Time
	accepted, delivered, dead, pending uint64
	calls                              uint64
}

// NewHistory returns a history with the samples of its file, which asks snapshot for each. A file that cannot be read is an empty one. It
// starts no goroutine.
func NewHistory(snapshot func(lanes int) Snapshot, o HistoryOptions) *History {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	h := &History{snapshot: snapshot, options: o, outage: outage.New(outage.Options{
		Log: o.Log, Begin: "cannot write the history of the counters: after a restart the page begins without it", End: "the history of the counters is written again",
		BeginLevel: zap.WarnLevel, EndLevel: zap.InfoLevel,
	})}
	if err := h.read(time.Now()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.Log.Warn("cannot read the history of the counters: it begins anew", zap.Error(err))
	}
	return h
}

// Run keeps samples until ctx ends. The first is of now.
func (h *History) Run(ctx context.Context) {
	tick := time.NewTicker(historyEvery)
	defer tick.Stop()
	defer h.write()
	for {
		h.keep(time.Now())
		if time.Since(h.filed) >= historyFiled {
			h.write()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (h *History) keep(now time.Time) {
	s := h.snapshot(0)
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.samples) > 0 && now.Sub(h.samples[0].at) > historySpan {
		h.samples = h.samples[1:]
	}
	h.samples = append(h.samples, sample{now, s.Events.Accepted, s.Events.Delivered, s.Events.Dead, s.Events.Pending, s.Reports.Calls})
}

// read reads the file: samples of the last six hours and one more, as far as they are in order.
func (h *History) read(now time.Time) error {
	if h.options.File == "" {
		return nil
	}
	data, err := os.ReadFile(h.options.File)
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	var p historyPage
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("console: %s: %w", h.options.File, err)
	}
	n := min(len(p.Time), len(p.Accepted), len(p.Delivered), len(p.Dead), len(p.Pending), len(p.Calls))
	h.mu.Lock()
	defer h.mu.Unlock()
	last := now.Add(-historySpan - historyEvery)
	for i := range n {
		at := time.UnixMilli(int64(p.Time[i] * 1e3))
		if !at.After(last) || at.After(now) {
			continue
		}
		last = at
		h.samples = append(h.samples, sample{at, p.Accepted[i], p.Delivered[i], p.Dead[i], p.Pending[i], p.Calls[i]})
	}
	return nil
}

// write writes the file.
func (h *History) write() {
	h.filed = time.Now()
	if h.options.File == "" {
		return
	}
	data, err := json.Marshal(h.page())
	if err == nil {
		err = durable.WriteFile(h.options.File, data, 0o600)
	}
	h.outage.Report(err)
}

// historyPage is the answer of GET /api/v1/history: a column for each counter, a place in all of them for each sample.
type historyPage struct {
	Every     float64   `json:"every_seconds"`
	Time      []float64 `json:"time"` // Unix seconds
	Accepted  []uint64  `json:"accepted"`
	Delivered []uint64  `json:"delivered"`
	Dead      []uint64  `json:"dead"`
	Pending   []uint64  `json:"pending"`
	Calls     []uint64  `json:"report_calls"`
}

// page returns the samples.
func (h *History) page() historyPage {
	page := historyPage{Every: historyEvery.Seconds(), Time: []float64{}, Accepted: []uint64{}, Delivered: []uint64{}, Dead: []uint64{}, Pending: []uint64{}, Calls: []uint64{}}
	if h == nil {
		return page
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.samples {
		page.Time = append(page.Time, float64(s.at.UnixMilli())/1e3)
		page.Accepted, page.Delivered, page.Dead = append(page.Accepted, s.accepted), append(page.Delivered, s.delivered), append(page.Dead, s.dead)
		page.Pending, page.Calls = append(page.Pending, s.pending), append(page.Calls, s.calls)
	}
	return page
}

// history answers GET /api/v1/history.
func (c *Console) history(w http.ResponseWriter, _ *http.Request) {
	respond.JSON(w, http.StatusOK, c.options.History.page())
}
