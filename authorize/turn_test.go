package authorize

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// slowly looks a call up, and decides it only after meanwhile.
func (w *world) slowly(query string, meanwhile func()) *reply {
	w.t.Helper()
	r := new(reply)
	r.authrep = true
	credentials, id, ok := r.readFastPath(query)
	require.True(w.t, ok)
	var err error
	r.door, err = w.configured.Load().open(id, credentials, false)
	require.NoError(w.t, err)
	r.key = w.digest(&r.call)
	r.finding = w.look(w.t.Context(), &r.call)
	meanwhile()
	require.True(w.t, w.decide(r))
	w.conclude(w.t.Context(), r)
	return r
}

// TestCallsAcrossATurn: a call that came in before a period turned, and is decided after further calls have used the
// next one, is neither a gift of the old period nor a loss for the new one.
func TestCallsAcrossATurn(t *testing.T) {
	for _, period := range []string{"minute", "day", "year"} {
		t.Run(period, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.limited("turn", sandbox.Limit{Metric: "hits", Period: period, Max: 10})
				p, _ := threescale.ParsePeriod(period)
				pass(time.Until(p.End(time.Now())) - 5*time.Second)
				w.others("turn", 3)
				require.Equal(t, 7, w.hammer(64, "app_id", "turn", "usage[hits]", "1"))
				pass(4 * time.Second)
				var after int
				late := w.slowly("service_token=stoken1001&service_id=1001&app_id=turn&usage[hits]=1", func() {
					pass(2 * time.Second)
					w.others("turn", 4)
					for range 3 {
						if w.get("authrep", "app_id", "turn", "usage[search]", "1").status == http.StatusOK {
							after++
						}
					}
				})
				if late.code == "" {
					after++
				}
				then := p.Start(time.Now()).Unix()
				var old, young int
				for _, e := range w.journal.take() {
					if e.Timestamp < then {
						old++
					} else {
						young++
					}
				}
				assert.Equal(t, 7, old, "in the old period")
				assert.Equal(t, after, young, "in the new one")
				assert.LessOrEqual(t, after, 10)
			})
		})
	}
}
