package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestBackendClock: 3scale's clock is wrong, it sends no Date, and its limits for a minute show it. What it would drop by its
// clock waits, is named in the status, the metrics and the log, and is not sent; the rest is counted; and once the clock is
// right, all is counted.
func TestBackendClock(t *testing.T) {
	for shift, counted := range map[string]uint64{"2h": 2, "-2h": 2, "-25h": 0} {
		t.Run(shift, func(t *testing.T) {
			t.Parallel()
			b := sandbox(t)
			for i := range 3 {
				b.limited(application(i), limit{"hits", "minute", 1 << 40})
			}
			b.faults(map[string]any{"backend": map[string]any{"clock": shift}})
			d := serve(t, newSettings(t, b.url).set("sender.negative_cache", "1s").set("batch.flush_interval", "50ms"))
			assert.Equal(t, "unknown", d.clock().State)
			assert.Contains(t, metrics(d), "reporterd_clock_skew_seconds NaN")
			for i, age := range []time.Duration{0, 4 * time.Hour, 23 * time.Hour} {
				e := hit("1001", application(i))
				e.Timestamp = time.Now().Add(-age).Unix()
				d.send(e)
			}
			eventually(t, 20*time.Second, "the rest is delivered", func() bool {
				return d.status().Events.Delivered == counted && d.clock().Waiting > 0
			})
			state := "behind"
			if !strings.HasPrefix(shift, "-") {
				state = "ahead"
			}
			assert.Equal(t, state, d.clock().State)
			assert.Contains(t, metrics(d), fmt.Sprint("reporterd_clock_waiting_batches ", d.clock().Waiting))
			b.faults(map[string]any{})
			assert.EqualValues(t, 3, d.drained(60*time.Second).Events.Delivered)
			for i := range 3 {
				assert.EqualValues(t, 1, b.usage()["1001"][application(i)]["hits"], application(i))
			}
			assert.Zero(t, b.calls().DiscardedBatches)
			assert.Equal(t, "agrees", d.clock().State)
		})
	}
}

// clockStatus is what the status says of 3scale's clock.
type clockStatus struct {
	State   string `json:"state"`
	Waiting int    `json:"waiting_batches"`
}

func (d *daemon) clock() clockStatus {
	d.t.Helper()
	return read[struct {
		Backend struct{ Clock clockStatus }
	}](d.t, mustCall(d.t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/status", nil)).Backend.Clock
}
