package authorize

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// TestADenialIsPassedOn: an answer of the backend to a client that denies an application, a user key or a metric is
// told once, with the name it is about; an answer from memory, and a denial for another reason, are not.
func TestADenialIsPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type denial struct {
			service string
			app     threescale.Application
			Denial
		}
		var told []denial
		w := newWorld(t, func(o *worldOptions) {
			o.OnDenial = func(service string, _ threescale.Credentials, app threescale.Application, d Denial) {
				told = append(told, denial{service, app, d})
			}
		})
		take := func() []denial { all := told; told = nil; return all }

		require.NoError(t, w.sandbox.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: "x"}))
		w.get("authrep", "app_id", "x", "usage[hits]", "1")
		assert.Empty(t, take())
		require.NoError(t, w.sandbox.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: "x", State: "deleted"}))
		pass(DefaultTTL)
		gone := threescale.ApplicationNotFound("x")
		for range 3 {
			assert.Equal(t, "application_not_found", w.get("authrep", "app_id", "x", "usage[hits]", "1").rejection())
		}
		assert.Equal(t, []denial{{"1001", threescale.Application{ID: "x"}, Denial{Status: 404, Code: gone.Code, Text: gone.Text}}}, take())

		w.get("authorize", "app_id", "app2", "usage[hits]", "1", "usage[nosuch]", "1")
		bad := threescale.MetricInvalid("nosuch")
		assert.Equal(t, []denial{{"1001", threescale.Application{ID: "app2"}, Denial{Metric: "nosuch", Status: 404, Code: bad.Code, Text: bad.Text}}}, take())

		w.get("authorize", "service_id", "1002", "service_token", "stoken1002", "user_key", "gone")
		assert.Equal(t, []denial{{"1002", threescale.Application{UserKey: "gone"},
			Denial{Status: 403, Code: "user_key_invalid", Text: `user key "[redacted]" is invalid`}}}, take())

		w.get("authorize", "app_id", "app1", "app_key", "wrong")
		w.get("authorize", "app_id", "app1", "service_token", "wrong")
		assert.Empty(t, take())
		pass(time.Minute)
		assert.Empty(t, take())
	})
}
