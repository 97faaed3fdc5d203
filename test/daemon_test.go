package test

import (
	"context"
	"encoding/json"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// daemon is a running `reporterd serve`.
type daemon struct {
	*process
	traffic, admin string // base URLs
}

// status is GET /api/v1/status, as far as tests look at it.
type status struct {
	Events struct {
		Accepted, Duplicates, Delivered, Dead, Pending, Ambiguous, Lost uint64
	}
	Spool struct {
		Bytes            int64
		QuotaBytes       int64   `json:"quota_bytes"`
		FreeBytes        int64   `json:"free_bytes"`
		OldestAgeSeconds float64 `json:"oldest_age_seconds"`
		Batches          int
	}
	Backend struct {
		ReportCalls  uint64 `json:"report_calls"`
		Transactions uint64
		Questions    uint64
	}
	Lanes   []lane
	Cluster *struct { // nil: a single machine
		Complete   bool
		Partitions []struct {
			Partition int
			Owner     string
			Known     bool
			Events    struct{ Accepted, Delivered, Dead, Pending, Lost uint64 }
		}
	}
}

// lane is a lane of the status.
type lane struct {
	ServiceID string `json:"service_id"`
	State     string
	Events    uint64
	LastError string `json:"last_error"`
}

// serve starts a daemon and returns once it is ready.
func serve(t testing.TB, s settings, args ...string) *daemon {
	t.Helper()
	d := launch(t, s.write(t), args...)
	d.ready()
	return d
}

// launch starts a daemon and does not wait for it.
func launch(t testing.TB, configFile string, args ...string) *daemon {
	t.Helper()
	return &daemon{process: reporterd(t, append([]string{"serve", "--config", configFile}, args...)...)}
}

// launchWith starts a daemon in a process that executed a line of shell before, and does not wait for it.
func launchWith(t testing.TB, line, configFile string, args ...string) *daemon {
	t.Helper()
	cmd := command(t, append([]string{"serve", "--config", configFile}, args...)...)
	cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", line + `; exec "$@"`, "sh"}, cmd.Args...)
	return &daemon{process: start(t, cmd)}
}

// ready waits for the listeners and for /readyz.
func (d *daemon) ready() {
	d.t.Helper()
	d.readyWithin(20 * time.Second)
}

func (d *daemon) readyWithin(within time.Duration) {
	d.t.Helper()
	d.traffic = "http://" + d.await("traffic")
	d.admin = "http://" + d.await("admin")
	eventually(d.t, within, "/readyz answers 200", func() bool {
		require.False(d.t, d.gone(), "exited before it was ready:\n%s", tail(d.logged(), 20))
		got, err := call(testClient, http.MethodGet, d.admin+"/readyz", "", nil)
		return err == nil && got.status == http.StatusOK
	})
}

// event is a native event.
type event struct {
	ServiceID string            `json:"service_id"`
	AppID     string            `json:"app_id,omitempty"`
	UserKey   string            `json:"user_key,omitempty"`
	Usage     map[string]uint64 `json:"usage"`
	Timestamp any               `json:"timestamp,omitempty"`
	Code      int               `json:"response_code,omitempty"`
	ID        string            `json:"id,omitempty"`
}

// hit is an event of one hit of one application.
func hit(serviceID, appID string) event {
	return event{ServiceID: serviceID, AppID: appID, Usage: map[string]uint64{"hits": 1}}
}

// offer posts events and returns the answer, whatever it is.
func (d *daemon) offer(events ...event) answer {
	d.t.Helper()
	body, err := json.Marshal(events)
	require.NoError(d.t, err)
	got, err := call(testClient, http.MethodPost, d.traffic+"/v1/events", "application/json", body)
	require.NoError(d.t, err)
	return got
}

// send posts events that have to be acknowledged.
func (d *daemon) send(events ...event) {
	d.t.Helper()
	got := d.offer(events...)
	require.Equal(d.t, http.StatusAccepted, got.status, "%s", got.body)
}

// status reads the figures, which have to add up at every moment.
func (d *daemon) status() status {
	d.t.Helper()
	s := read[status](d.t, mustCall(d.t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/status", nil))
	e := s.Events
	require.Equal(d.t, e.Accepted, e.Delivered+e.Dead+e.Pending+e.Lost, "accepted = delivered + dead + pending + lost: %+v", e)
	if s.Cluster != nil {
		for _, p := range s.Cluster.Partitions {
			require.Equal(d.t, p.Events.Accepted, p.Events.Delivered+p.Events.Dead+p.Events.Pending+p.Events.Lost, "of a partition: %+v", p)
		}
	}
	return s
}

// flush has everything accepted so far sealed and tried.
func (d *daemon) flush() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.admin+"/-/flush", nil)
	require.NoError(d.t, err)
	got, err := do(testClient, req)
	require.NoError(d.t, err)
	require.Less(d.t, got.status, 300, "%s", got.body)
}

// drained flushes and returns the figures once nothing is pending.
func (d *daemon) drained(within time.Duration) status {
	d.t.Helper()
	d.flush()
	var s status
	eventually(d.t, within, "nothing is pending", func() bool {
		s = d.status()
		return s.Events.Pending == 0
	})
	return s
}

// stop asks the daemon to end, which it has to do in good order and in time.
func (d *daemon) stop() {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	require.Equal(d.t, 0, d.exit(30*time.Second), "exit status after SIGTERM:\n%s", tail(d.logged(), 20))
}
