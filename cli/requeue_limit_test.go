package cli_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// used asks what counts against the limit of the application late.
func used(t *testing.T, traffic string) int64 {
	t.Helper()
	_, answer := send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/authorize", `{"service_id":"1001","app_id":"late"}`)
	var verdict struct{ Limits []struct{ Current int64 } }
	require.NoError(t, json.Unmarshal([]byte(answer), &verdict), answer)
	require.Len(t, verdict.Limits, 1, answer)
	return verdict.Limits[0].Current
}

// Usage weighs on limits until it is a dead letter, and again from its requeueing on: once, before it is
// delivered as after.
func TestRequeuedWeighsOnLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := sandboxed(t, dir)
	traffic, admin := d.ready()
	status, answer := send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/authorize", `{"service_id":"1001","app_id":"app2"}`)
	require.Equal(t, http.StatusOK, status, answer) // from now on usage is followed
	event := `{"service_id":"1001","app_id":"late","usage":{"hits":60},"timestamp":"` + now() + `"}`
	status, answer = send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/events", event)
	require.Equal(t, http.StatusAccepted, status, answer)
	d.eventually("it is dead", func() bool { return counts(t, admin)["dead"] == 1 })

	created := `{"service_id":"1001","app_id":"late","plan":"Late","limits":[{"metric":"hits","period":"eternity","max":100}]}`
	status, answer = send(t, http.DefaultClient, http.MethodPut, "http://"+d.address("sandbox")+"/sandbox/applications", created)
	require.Equal(t, http.StatusOK, status, answer)
	require.Zero(t, used(t, traffic))
	fine(t, dir, "deadletter requeue --all --yes")
	assert.EqualValues(t, 60, used(t, traffic), "pending")
	for begun := time.Now(); counts(t, admin)["pending"] > 0 && time.Since(begun) < 30*time.Second; {
		assert.EqualValues(t, 60, used(t, traffic), "on its way")
		<-time.After(20 * time.Millisecond)
	}
	require.Zero(t, counts(t, admin)["dead"])
	assert.EqualValues(t, 60, used(t, traffic), "delivered")
}
