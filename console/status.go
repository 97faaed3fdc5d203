package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/reporterd/reporterd/internal/respond"
)

// Status is the JSON of GET /api/v1/status. Its names are API; ages are in seconds.
type Status struct {
	Version string        `json:"version"`
	Summary Summary       `json:"summary"`
	Uptime  float64       `json:"uptime_seconds"`
	Events  Events        `json:"events"`
	Spool   StatusSpool   `json:"spool"`
	Backend StatusBackend `json:"backend"`
	Lanes   []StatusLane  `json:"lanes"`

	// OtherLanes sums up, by state, the lanes that Lanes does not name: it names at most 100 with credentials that reporters sent,
	// those with the oldest usage, unless the parameter lanes asks for more.
	OtherLanes []StatusOtherLanes `json:"other_lanes,omitempty"`

	Services []StatusService `json:"services"`

	// Receipts are left out where no service has any: delivered is then what 3scale accepted. Where there are, delivered is
	// what 3scale counted, and events of reports that wait for their receipts are pending.
	Receipts *StatusReceipts `json:"receipts,omitempty"`

	// Cluster says which replica has which partition, where replicas share a spool. The figures above are sums over all partitions.
	Cluster *StatusCluster `json:"cluster,omitempty"`
}

// StatusService is the sum over the lanes of a service. Only the first 100 configured services are named, the rest share "other".
type StatusService struct {
	ServiceID string  `json:"service_id"`
	Delivered uint64  `json:"delivered"` // events since the start
	Dead      uint64  `json:"dead"`      // events since the start
	Batches   int     `json:"batches"`   // that wait for delivery
	Events    uint64  `json:"events"`    // in them
	OldestAge float64 `json:"oldest_age_seconds"`
}

// StatusSpool is the data directory.
type StatusSpool struct {
	Bytes     int64   `json:"bytes"`
	Quota     int64   `json:"quota_bytes"`
	Free      int64   `json:"free_bytes"`
	Batches   int     `json:"batches"`
	OldestAge float64 `json:"oldest_age_seconds"`
}

// StatusBackend contains the figures of calls to the backend, since the start.
type StatusBackend struct {
	Calls        uint64 `json:"report_calls"`
	Transactions uint64 `json:"transactions"`
	Limit        int    `json:"in_flight_limit"`
	BreakerOpen  bool   `json:"breaker_open"`
	Restamped    uint64 `json:"restamped_events"`
	Questions    uint64 `json:"questions"`
	Waiting      int    `json:"questions_waiting"` // about applications and metrics, queued or under way now

	Clock StatusClock `json:"clock"`
}

// StatusLane is the queue of one service with one set of credentials.
type StatusLane struct {
	ServiceID string  `json:"service_id"`
	State     string  `json:"state"`
	Batches   int     `json:"batches"`
	Events    uint64  `json:"events"`
	OldestAge float64 `json:"oldest_age_seconds"`
	LastError string  `json:"last_error"`

	Questioned   int     `json:"probation_batches"`
	Probation    float64 `json:"probation_seconds"` // for so long the first of them has waited
	Parked       int     `json:"parked_batches"`
	ParkedEvents uint64  `json:"parked_events"`
}

// StatusOtherLanes is the sum over lanes in one state.
type StatusOtherLanes struct {
	State     string  `json:"state"`
	Lanes     int     `json:"lanes"`
	Batches   int     `json:"batches"`
	Events    uint64  `json:"events"`
	OldestAge float64 `json:"oldest_age_seconds"`
}

// lanesNamed is how many lanes with credentials that reporters sent are named, unless the caller asks for more.
const lanesNamed = 100

func (c *Console) status(w http.ResponseWriter, r *http.Request) {
	named := lanesNamed
	if text := r.URL.Query().Get("lanes"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			respond.Problem(w, http.StatusBadRequest, "lanes: expected how many lanes to name")
			return
		}
		named = n
	}
	respond.JSON(w, http.StatusOK, c.statusPage(c.whole(r.Context(), named), named))
}

// whole returns the figures of all replicas together.
func (c *Console) whole(ctx context.Context, lanes int) Snapshot {
	if c.options.Whole == nil {
		return c.options.Snapshot(lanes)
	}
	return c.options.Whole(ctx, lanes)
}

// nameLanes divides lanes into those that are named and the sums over the rest, some of which are sums already. The order of the
// named ones stays.
func nameLanes(all []Lane, most int) (named []Lane, rest []StatusOtherLanes) {
	var passed []time.Duration
	for i := range all {
		if all[i].PassedOn && all[i].Lanes == 0 {
			passed = append(passed, all[i].OldestAge)
		}
	}
	least, sums := time.Duration(-1), make(map[string]*StatusOtherLanes)
	if len(passed) > most {
		slices.SortFunc(passed, func(a, b time.Duration) int { return cmp.Compare(b, a) })
		least = passed[most]
	}
	for i := range all {
		l := &all[i]
		if l.Lanes == 0 && (!l.PassedOn || l.OldestAge > least) {
			named = append(named, *l)
			continue
		}
		sum := sums[l.State]
		if sum == nil {
			sum = &StatusOtherLanes{State: l.State}
			sums[l.State] = sum
		}
		sum.Lanes, sum.Batches, sum.Events = sum.Lanes+l.count(), sum.Batches+l.Batches, sum.Events+l.Events
		sum.OldestAge = max(sum.OldestAge, l.OldestAge.Seconds())
	}
	for _, state := range laneStates {
		if sum := sums[state]; sum != nil {
			rest = append(rest, *sum)
		}
	}
	return named, rest
}

func (c *Console) statusPage(s Snapshot, named int) Status {
	lanes, rest := nameLanes(s.Lanes, named)
	page := Status{
		Version: c.options.Build.Version,
		Summary: summarize(&s, notReady(c.options.Ready())),
		Uptime:  time.Since(c.options.Started).Seconds(),
		Events:  s.Events,
		Spool:   StatusSpool{s.Spool.Bytes, s.Spool.Quota, s.Spool.Free, s.Spool.Batches, s.Spool.OldestAge.Seconds()},
		Backend: StatusBackend{
			s.Reports.Calls, s.Reports.Transactions, s.Reports.Limit, s.Reports.BreakerOpen, s.Reports.RestampedEvents, s.Proof.Asked, s.Proof.Waiting,
			s.Reports.Clock.page(),
		},
		Lanes:      make([]StatusLane, 0, len(lanes)), // [] and not null
		OtherLanes: rest,
	}
	page.Receipts, page.Cluster = s.Receipts.page(), s.Cluster.page()
	for _, l := range lanes {
		page.Lanes = append(page.Lanes, StatusLane{
			l.ServiceID, l.State, l.Batches, l.Events, l.OldestAge.Seconds(), l.LastError,
			l.Questioned, l.Probation.Seconds(), l.Parked, l.ParkedEvents,
		})
	}
	page.Services = make([]StatusService, 0, len(s.Services)+1)
	byService(&s, func(label string, f *serviceFigures) {
		page.Services = append(page.Services, StatusService{label, f.Delivered, f.Dead, f.batches, uint64(f.events), f.oldest})
	})
	return page
}
