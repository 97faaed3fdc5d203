package console

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/reporterd/reporterd/internal/respond"
)

// A sample is kept every ten seconds, for six hours.
const (
	historyEvery = 10 * time.Second
	historySpan  = 6 * time.Hour
)

// History keeps samples of the counters of the last six hours, one every ten seconds, so that a page that is opened, or loaded again,
// can show rates from before. They are in memory (100 KiB), and gone after a restart. Its methods may be called concurrently.
type History struct {
	snapshot func(lanes int) Snapshot

	mu      sync.Mutex // guards samples
	samples []sample   // the oldest first
}

// sample are the counters at a moment.
type sample struct {
	at                                 time.Time
	accepted, delivered, dead, pending uint64
	calls                              uint64
}

// NewHistory returns a history without samples, which asks snapshot for each. It starts no goroutine.
func NewHistory(snapshot func(lanes int) Snapshot) *History { return &History{snapshot: snapshot} }

// Run keeps samples until ctx ends. The first is of now.
func (h *History) Run(ctx context.Context) {
	tick := time.NewTicker(historyEvery)
	defer tick.Stop()
	for {
		h.keep(time.Now())
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

// history answers GET /api/v1/history.
func (c *Console) history(w http.ResponseWriter, _ *http.Request) {
	page := historyPage{Every: historyEvery.Seconds(), Time: []float64{}, Accepted: []uint64{}, Delivered: []uint64{}, Dead: []uint64{}, Pending: []uint64{}, Calls: []uint64{}}
	if h := c.options.History; h != nil {
		h.mu.Lock()
		for _, s := range h.samples {
			page.Time = append(page.Time, float64(s.at.UnixMilli())/1e3)
			page.Accepted, page.Delivered, page.Dead = append(page.Accepted, s.accepted), append(page.Delivered, s.delivered), append(page.Dead, s.dead)
			page.Pending, page.Calls = append(page.Pending, s.pending), append(page.Calls, s.calls)
		}
		h.mu.Unlock()
	}
	respond.JSON(w, http.StatusOK, page)
}
