package console

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/reporterd/reporterd/internal/histogram"
	"github.com/reporterd/reporterd/internal/respond"
)

const (
	// liveEvery is the interval of live figures, and maxLive the maximum number of readers.
	liveEvery = time.Second
	maxLive   = 32

	// liveWrite is how long a reader may take to read them.
	liveWrite = 10 * time.Second
)

// livePage is one event of GET /api/v1/live: the status, and other figures of the page.
type livePage struct {
	Status
	Time        float64       `json:"time"`  // Unix seconds
	Ready       string        `json:"ready"` // empty: ready
	DeadLetters int           `json:"deadletters"`
	Commit      liveHistogram `json:"commit"` // seconds until a group was durable, since the start
	Authorize   liveAuthorize `json:"authorize"`
}

type liveHistogram struct {
	Bounds []float64 `json:"bounds"`
	Counts []uint64  `json:"counts"` // cumulative
	Count  uint64    `json:"count"`
}

type liveAuthorize struct {
	Answers map[string]uint64 `json:"answers"`
	Granted uint64            `json:"granted"`
}

// follow sends figures once a second, as server-sent events, until the client is gone or the daemon stops.
func (c *Console) follow(w http.ResponseWriter, r *http.Request) {
	if c.following.Add(1) > maxLive {
		c.following.Add(-1)
		w.Header().Set("Retry-After", "5")
		respond.Problem(w, http.StatusServiceUnavailable, "too many readers of live figures")
		return
	}
	defer c.following.Add(-1)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	answer := http.NewResponseController(w)
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for {
		page := c.livePage(r.Context())
		data, err := json.Marshal(page)
		if err != nil {
			return
		}
		// Not every connection has a deadline; the admin listener renews it with each write in any case.
		_ = answer.SetWriteDeadline(time.Now().Add(liveWrite))
		if _, err := w.Write(append(append([]byte("data: "), data...), "\n\n"...)); err != nil || answer.Flush() != nil {
			return
		}
		if page.Ready == Stopping {
			return // a server that shuts down must not wait for this reader
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// Stopping is the text of Options.Ready's error while the daemon stops.
const Stopping = "the daemon is stopping"

func (c *Console) livePage(ctx context.Context) livePage {
	s := c.whole(ctx, lanesNamed)
	page := livePage{
		Status: c.statusPage(s, lanesNamed), Time: float64(time.Now().UnixMilli()) / 1e3, DeadLetters: s.Spool.DeadLetters,
		Commit: liveOf(s.Commits.Waits), Authorize: liveAuthorize{s.Authorize.Answers, s.Authorize.Granted},
	}
	page.Ready = notReady(c.options.Ready())
	return page
}

func liveOf(s histogram.Snapshot) liveHistogram { return liveHistogram{s.Bounds, s.Counts, s.Count} }
