package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/internal/outage"
	"github.com/reporterd/reporterd/internal/respond"
	"github.com/reporterd/reporterd/internal/timespec"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/threescale/portal"
)

const (
	// longestSince is the longest time for which the portal returns hours in one call.
	longestSince = 90 * 24 * time.Hour

	firstRun = 30 * time.Second // after the start: a daemon that is restarted often does not ask each time
)

// Keeper compares at intervals, and keeps the latest result. It is safe for concurrent use.
type Keeper struct {
	options Options
	outage  *outage.Outage // of the comparison

	running sync.Mutex // held during a run: there is one at a time

	mu     sync.Mutex            // guards the fields below
	last   *Report               // of all services; nil: none yet
	runs   uint64                // that were completed
	failed uint64                // that failed
	sealed map[cellName]observed // the first observed count of sealed cells
	told   map[cellName]int64    // by how much cells are short that were told
}

type cellName struct {
	service, app, metric string
	hour                 int64
}

// observed is the count of a sealed cell when it was first read.
type observed struct {
	counted int64
	at      time.Time
}

// NewKeeper returns a Keeper that compares every Options.Every; Run starts it.
func NewKeeper(o Options) *Keeper {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return &Keeper{options: o, outage: outage.New(outage.Options{
		Log: o.Log.With(zap.Duration("every", o.Every)), BeginLevel: zap.WarnLevel,
		Begin: "cannot read 3scale's counts, retrying", End: "3scale's counts can be read again",
	}), sealed: make(map[cellName]observed), told: make(map[cellName]int64)}
}

// Run compares until ctx ends, while it is its turn.
func (k *Keeper) Run(ctx context.Context) {
	next := min(firstRun, k.options.Every)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(next):
		}
		if k.options.Turn != nil && !k.options.Turn() {
			next = min(firstRun, k.options.Every)
			continue
		}
		next = k.options.Every
		if _, err := k.Now(ctx, k.options.Services, k.options.Since); errors.Is(err, ledger.ErrApart) {
			next = min(firstRun, k.options.Every) // a partition is moving
		}
	}
}

// Now compares. It keeps the result if it includes all services and the usual time span.
func (k *Keeper) Now(ctx context.Context, services []string, since time.Duration) (*Report, error) {
	k.running.Lock()
	defer k.running.Unlock()
	o := k.options
	o.Services, o.Since = services, since
	r, err := run(ctx, o, k.isFresh)
	if err == nil {
		k.tell(r)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if ctx.Err() != nil {
		return r, err
	}
	k.outage.Report(err)
	if err != nil {
		k.failed++
		return nil, err
	}
	k.runs++
	k.rememberLocked(r)
	if len(services) == 0 && since == k.options.Since {
		k.last = r
	}
	return r, nil
}

// rememberLocked keeps the first count of each sealed cell, and changes the verdict of cells whose count has changed since.
func (k *Keeper) rememberLocked(r *Report) {
	oldest := r.ObservedAt.Add(-k.options.Since - 48*time.Hour).Unix()
	for name := range k.sealed {
		if name.hour < oldest {
			delete(k.sealed, name)
		}
	}
	for name := range k.told {
		if name.hour < oldest {
			delete(k.told, name)
		}
	}
	for i := range r.Cells {
		c := &r.Cells[i]
		if !c.Final {
			continue
		}
		name := cellName{c.ServiceID, c.AppID, c.Metric, c.Hour.Unix()}
		first, seen := k.sealed[name]
		if !seen {
			k.sealed[name] = observed{c.Counted, r.ObservedAt}
			continue
		}
		if first.counted != c.Counted && c.Verdict != Unverifiable {
			r.Summary[c.Verdict]--
			c.Verdict = Mutated
			c.Reason = fmt.Sprintf("3scale counted %d at %s", first.counted, first.at.Format("01-02 15:04Z"))
			r.Summary[Mutated]++
		}
	}
}

// Stats contains figures for metrics.
type Stats struct {
	Runs, Failed  uint64
	Stopped       bool // the last run failed
	Calls         uint64
	Summary       map[Verdict]int
	Receipts      map[Agreement]int
	Missing       int64     // units missing in short cells
	Excess        int64     // units too many in over cells
	SealedThrough time.Time // zero: no run yet
	ObservedAt    time.Time
	Skew          time.Duration
}

// Stats returns the current figures.
func (k *Keeper) Stats() Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := Stats{Runs: k.runs, Failed: k.failed, Stopped: k.outage.Err() != nil, Calls: k.options.Portal.Calls(), Skew: k.options.Portal.Skew()}
	if k.last == nil {
		return s
	}
	s.Summary, s.SealedThrough, s.ObservedAt, s.Receipts = k.last.Summary, k.last.SealedThrough, k.last.ObservedAt, k.last.Receipts
	for i := range k.last.Cells {
		switch c := &k.last.Cells[i]; c.Verdict {
		case Short:
			s.Missing -= c.Delta
		case Over:
			s.Excess += c.Delta
		}
	}
	return s
}

// page is the answer to GET and POST /api/v1/reconcile.
type page struct {
	Enabled bool   `json:"enabled"`
	Trouble string `json:"trouble,omitempty"`
	*Report
}

// ServeHTTP answers GET with the latest result, and POST with a new comparison: parameters service (repeatable) and since.
func (k *Keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	services, since := q["service_id"], k.options.Since
	if text := q.Get("since"); text != "" {
		back, err := span(text, time.Now())
		if err != nil {
			respond.Problem(w, http.StatusBadRequest, fmt.Sprintf("since: %q: expected how long ago, such as 72h, or a time, at most 90 days", text))
			return
		}
		since = back
	}
	if r.Method == http.MethodPost {
		report, err := k.Now(r.Context(), services, since)
		if err != nil {
			respond.Problem(w, statusOf(err), err.Error())
			return
		}
		respond.JSON(w, http.StatusOK, page{Enabled: true, Report: report})
		return
	}
	k.mu.Lock()
	answer := page{Enabled: true, Report: k.last}
	k.mu.Unlock()
	if err := k.outage.Err(); err != nil {
		answer.Trouble = err.Error()
	}
	if answer.Report == nil {
		answer.Report = &Report{Portal: k.options.Portal.URL(), Summary: map[Verdict]int{}, Cells: []Cell{}, Batches: []Evidence{}}
	}
	if len(services) > 0 || q.Get("since") != "" {
		answer.Report = answer.only(services, time.Now().Add(-since))
	}
	respond.JSON(w, http.StatusOK, answer)
}

// only returns the part of a report about some services and hours.
func (p *page) only(services []string, since time.Time) *Report {
	r := *p.Report
	r.Cells, r.Summary = []Cell{}, map[Verdict]int{}
	for _, c := range p.Cells {
		if (len(services) == 0 || slices.Contains(services, c.ServiceID)) && !c.Hour.Before(since.Truncate(time.Hour)) {
			r.Cells = append(r.Cells, c)
			r.Summary[c.Verdict]++
		}
	}
	r.Receipts = agreements(r.Cells)
	return &r
}

// span reads since, a point in time or a duration before now, and returns the duration.
func span(text string, now time.Time) (time.Duration, error) {
	at, err := timespec.At(text, now, time.UTC)
	back := now.Sub(at)
	if err == nil && (back <= 0 || back > longestSince) {
		err = errors.New("out of range")
	}
	return back, err
}

func statusOf(err error) int {
	var unknown *UnknownService
	if errors.As(err, &unknown) {
		return http.StatusNotFound
	}
	if portal.FaultOf(err) != "" {
		return http.StatusBadGateway
	}
	if errors.Is(err, ledger.ErrApart) {
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
