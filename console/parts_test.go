package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestVerboseHealth: each part says how it is; only what keeps the daemon from accepting makes it not ready.
func TestVerboseHealth(t *testing.T) {
	for name, c := range map[string]struct {
		snapshot Snapshot
		ready    error
		notes    []string
		status   int
		overall  string
		parts    map[string]string
	}{
		"well":               {status: 200, overall: "ok", parts: map[string]string{"spool": "ok", "backend": "ok", "ledger": "off", "cluster": "off"}},
		"no room":            {ready: errors.New("no room"), status: 503, overall: "failed", parts: map[string]string{"spool": "failed"}},
		"backend away":       {snapshot: Snapshot{Reports: Reports{BreakerOpen: true}}, status: 200, overall: "degraded", parts: map[string]string{"backend": "degraded"}},
		"a lane is held":     {snapshot: Snapshot{Lanes: []Lane{{State: "held"}}}, status: 200, overall: "degraded", parts: map[string]string{"backend": "degraded"}},
		"NATS away":          {notes: []string{"nats: no servers"}, status: 200, overall: "degraded", parts: map[string]string{"nats": "degraded"}},
		"a bad reload":       {snapshot: Snapshot{Reload: Reload{Failed: true}}, status: 200, overall: "degraded", parts: map[string]string{"configuration": "degraded"}},
		"the ledger stopped": {snapshot: Snapshot{Ledger: &Ledger{Stopped: true}}, status: 200, overall: "degraded", parts: map[string]string{"ledger": "degraded"}},
		"units are missing":  {snapshot: Snapshot{Reconcile: &Reconcile{Missing: 3}}, status: 200, overall: "degraded", parts: map[string]string{"reconcile": "degraded"}},
		"no owner":           {snapshot: Snapshot{Cluster: &Cluster{Unowned: 1}}, status: 200, overall: "degraded", parts: map[string]string{"cluster": "degraded"}},
	} {
		t.Run(name, func(t *testing.T) {
			console := New(Options{
				Snapshot: func(int) Snapshot { return c.snapshot }, Ready: func() error { return c.ready }, Degraded: func() []string { return c.notes },
			})
			answer := ask(t, console, "/readyz?verbose")
			assert.Equal(t, c.status, answer.StatusCode)
			var page Health
			require.NoError(t, json.NewDecoder(answer.Body).Decode(&page))
			assert.Equal(t, c.overall, page.Status)
			got := map[string]string{}
			for _, p := range page.Parts {
				got[p.Name] = p.Status
			}
			for part, status := range c.parts {
				assert.Equal(t, status, got[part], part)
			}
			assert.Equal(t, http.StatusOK, ask(t, console, "/livez?verbose").StatusCode, "it lives all the same")
		})
	}
}
