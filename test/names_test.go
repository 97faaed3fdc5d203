package test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// authrepAs asks for one hit of an application with credentials of its own.
func (d *daemon) authrepAs(credentials url.Values, app string) int {
	q := url.Values{"app_id": {app}, "usage[hits]": {"1"}}
	for name, values := range credentials {
		q[name] = values
	}
	got, err := call(testClient, http.MethodGet, d.traffic+"/transactions/authrep.xml?"+q.Encode(), "", nil)
	require.NoError(d.t, err)
	return got.status
}

// namesOf1001 are ways of naming service 1001, all of which the backend accepts.
var namesOf1001 = []url.Values{
	{"provider_key": {"pkey"}},
	{"service_token": {"stoken1001"}, "service_id": {"1001"}},
	{"provider_key": {"pkey"}, "service_id": {"1001"}},
	{"provider_key": {"pkey"}, "service_id": {"foo-1001"}},
}

// TestOneServiceUnderAllNames: configured by token, a service may be called by its provider's key as well, with its id, an alias or
// without; there is one limit, and one name in lanes, ledger and dead letters.
func TestOneServiceUnderAllNames(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	b.limited("named", limit{"hits", "eternity", 50})
	d := serve(t, newSettings(t, b.url).set("batch.flush_interval", "20ms"))
	granted := 0
	for range 20 {
		for _, name := range namesOf1001 {
			if d.authrepAs(name, "named") == http.StatusOK {
				granted++
			}
		}
	}
	assert.Equal(t, 50, granted)
	for _, name := range namesOf1001 {
		require.Equal(t, http.StatusAccepted, d.report(name, "app2").status)
	}
	require.Equal(t, http.StatusForbidden, d.report(url.Values{"provider_key": {"nokey"}, "service_id": {"1001"}}, "app2").status, "not any key")
	require.Equal(t, http.StatusForbidden, d.authrepAs(url.Values{"service_token": {"no"}, "service_id": {"1001"}}, "app2"))
	d.drained(10 * time.Second)
	assert.EqualValues(t, 50, b.usage()["1001"]["named"]["hits"])
	assert.EqualValues(t, 4, b.usage()["1001"]["app2"]["hits"])
	for _, l := range d.status().Lanes {
		assert.Equal(t, "1001", l.ServiceID)
	}
	rows := ""
	eventually(t, 10*time.Second, "it is booked", func() bool {
		rows = mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/ledger?since=1h&group=service_id", nil).body
		return strings.Contains(rows, `"service_id":"1001"`)
	})
	assert.NotContains(t, rows, `"service_id":""`)
	d.kill()
}

// TestLetterWithoutAServiceID: usage that was reported with a provider key alone, and became a dead letter before the backend told
// which service that is, can be requeued.
func TestLetterWithoutAServiceID(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	d := serve(t, newSettings(t, b.url).set("services", nil).set("batch.flush_interval", "20ms").set("sender.negative_cache", "200ms"))
	require.Equal(t, http.StatusAccepted, d.report(url.Values{"provider_key": {"pkey"}}, "ghost").status)
	type letters struct {
		Deadletters []struct {
			ID        string
			ServiceID string `json:"service_id"`
		}
	}
	var dead letters
	eventually(t, 20*time.Second, "it is a dead letter", func() bool {
		dead = read[letters](t, mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/deadletters", nil))
		return len(dead.Deadletters) == 1
	})
	assert.Empty(t, dead.Deadletters[0].ServiceID)
	b.limited("ghost", limit{"hits", "day", 100})
	mustCall(t, http.StatusOK, http.MethodPost, d.admin+"/api/v1/deadletters/requeue", map[string]any{"ids": []string{dead.Deadletters[0].ID}})
	d.drained(20 * time.Second)
	assert.EqualValues(t, 1, b.usage()["1001"]["ghost"]["hits"])
	d.kill()
}
