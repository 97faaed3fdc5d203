package test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// report sends a report with credentials of its own.
func (d *daemon) report(credentials url.Values, app string) answer {
	form := url.Values{"transactions[0][app_id]": {app}, "transactions[0][usage][hits]": {"1"}}
	for name, values := range credentials {
		form[name] = values
	}
	got, err := call(testClient, http.MethodPost, d.traffic+"/transactions.xml", "application/x-www-form-urlencoded", []byte(form.Encode()))
	require.NoError(d.t, err)
	return got
}

// TestRefusedCredentials: reports with credentials that the backend refuses get its own 403 and words, and nothing of them is
// kept; while it cannot be asked they are taken, and refused as soon as it is known that they are.
func TestRefusedCredentials(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	s := newSettings(t, b.url).set("services", nil).set("batch.flush_interval", "20ms").set("authorize.deny_ttl", "200ms").set("authorize.timeout", "500ms")
	d := serve(t, s)
	right := url.Values{"service_token": {"stoken1001"}, "service_id": {"1001"}}
	wrong := url.Values{"service_token": {"stokenwrong"}, "service_id": {"1001"}}
	for range 2 {
		got := d.report(wrong, "app2")
		assert.Equal(t, http.StatusForbidden, got.status)
		assert.Contains(t, got.body, `<error code="service_token_invalid">service token "stokenwrong" or service id "1001" is invalid</error>`)
		assert.Equal(t, http.StatusForbidden, d.report(url.Values{"provider_key": {"nokey"}}, "app2").status)
	}
	assert.Equal(t, http.StatusAccepted, d.report(right, "app2").status)
	assert.EqualValues(t, 1, d.drained(10*time.Second).Events.Accepted, "what was refused was not taken")

	mustCall(t, http.StatusOK, http.MethodPut, b.url+"/sandbox/faults", map[string]fault{"authorize": {Status: 503}})
	other := url.Values{"service_token": {"stokenother"}, "service_id": {"1001"}}
	assert.Equal(t, http.StatusAccepted, d.report(other, "app2").status, "it cannot be asked about")
	b.heal()
	eventually(t, 10*time.Second, "the backend's refusal is known at the door", func() bool {
		return d.report(other, "app2").status == http.StatusForbidden
	})
	eventually(t, 20*time.Second, "what was acknowledged is kept, and held", func() bool {
		status := d.status()
		return status.Events.Pending == 1 && len(status.Lanes) == 1 && status.Lanes[0].State == "held" &&
			status.Lanes[0].LastError == "service_token_invalid"
	})
	d.kill()
}
