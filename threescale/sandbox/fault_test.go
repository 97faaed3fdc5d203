package sandbox

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

// outcome is what a caller sees: a status, or 0 for a connection that was closed.
func outcome(call func() int) (status int) {
	defer func() {
		if recover() == http.ErrAbortHandler { //nolint:errorlint // the very value net/http looks for
			status = 0
		}
	}()
	return call()
}

// Each way to fail, with and without having landed.
func TestFaultsOfReports(t *testing.T) {
	for name, c := range map[string]struct {
		fault  string
		status int
		took   time.Duration
		lost   uint64 // hits counted when the fault has not landed
		landed uint64 // and when it has
	}{
		"status":           {`"status":500`, 500, 0, 0, 1},
		"status, late":     {`"status":504,"delay":"3s"`, 504, 3 * time.Second, 0, 1},
		"closed":           {`"close":true`, 0, 0, 0, 1},
		"closed, late":     {`"close":true,"delay":"30s"`, 0, 30 * time.Second, 0, 1},
		"truncated":        {`"close":true,"status":502,"body":"<html>"`, 0, 0, 0, 1},
		"late":             {`"delay":"5s"`, 202, 5 * time.Second, 1, 1},
		"202 for nothing":  {`"status":202`, 202, 0, 0, 1},
		"too many":         {`"status":429,"retry_after":"7"`, 429, 0, 0, 1},
		"another service":  {`"status":500,"service_id":"1002"`, 202, 0, 1, 1},
		"this service":     {`"status":403,"service_id":"1001","code":"service_token_invalid"`, 403, 0, 0, 1},
		"chance of nearly": {`"status":500,"chance":1`, 500, 0, 0, 1},
	} {
		for landed, want := range map[string]uint64{"false": c.lost, "true": c.landed} {
			t.Run(name+", landed "+landed, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := New(Options{})
					body := `{"report":{` + c.fault + `,"landed":` + landed + `}}`
					require.Equal(t, http.StatusOK, control(t, s, http.MethodPut, "/sandbox/faults", body, nil))
					start := time.Now()
					status := outcome(func() int { return report(s, hitsOf("app2", "1")) })
					assert.Equal(t, c.status, status)
					assert.Equal(t, c.took, time.Since(start))
					assert.Equal(t, want, counted(t, s, "app2", "hits"))
					assert.EqualValues(t, 1, s.Calls().Report)
				})
			})
		}
	}
}

func TestFaultsAreUsedUp(t *testing.T) {
	s := atNoon()
	require.Equal(t, http.StatusOK, control(t, s, http.MethodPut, "/sandbox/faults",
		`{"report":[{"status":503,"times":2,"retry_after":"1"},{"status":500,"times":1}],"authorize":{"status":504,"times":1}}`, nil))
	var got []int
	for range 4 {
		got = append(got, report(s, hitsOf("app2", "1")))
	}
	assert.Equal(t, []int{503, 503, 500, 202}, got)
	assert.Equal(t, http.StatusOK, authorize(s, "authrep", "app_id=app2", "").Code, "authrep is a kind of its own")
	assert.Equal(t, http.StatusGatewayTimeout, authorize(s, "oauth_authorize", "app_id=app2", "").Code)
	assert.Equal(t, http.StatusOK, authorize(s, "authorize", "app_id=app2", "").Code)
	assert.EqualValues(t, 4, s.Calls().Faults)
	assert.Equal(t, Faults{Report: list[Fault]{}, Authorize: list[Fault]{}}, s.Faults())
}

func TestFaultsThatMeanNothingAreRefused(t *testing.T) {
	s := atNoon()
	require.NoError(t, s.SetFaults(Faults{Report: list[Fault]{{Status: 500}}}))
	for _, body := range []string{
		`{"report":{"status":99}}`, `{"report":{"times":-1}}`, `{"authrep":{"chance":1.5}}`, `{"report":{"delay":"-1s"}}`,
		`{"report":{"delay":5}}`, `{"reports":{}}`, `{"report":{"stauts":500}}`, `[]`, `{`, ``,
	} {
		assert.Equal(t, http.StatusBadRequest, control(t, s, http.MethodPut, "/sandbox/faults", body, nil), body)
	}
	assert.Equal(t, 500, report(s, hitsOf("app2", "1")), "the faults from before are still there")
	require.Equal(t, http.StatusOK, control(t, s, http.MethodPut, "/sandbox/faults", `{}`, nil))
	assert.Equal(t, http.StatusAccepted, report(s, hitsOf("app2", "1")))
}

// A connection is really closed, with or without a beginning of an answer.
func TestFaultsCloseConnections(t *testing.T) {
	s := atNoon()
	server := httptest.NewServer(s)
	defer server.Close()
	get := func() (*http.Response, error) {
		return server.Client().Get(server.URL + "/transactions/authorize.xml?service_token=stoken1001&service_id=1001&app_id=app2")
	}
	require.NoError(t, s.SetFaults(Faults{Authorize: list[Fault]{{Close: true}}}))
	_, err := get()
	assert.Error(t, err)

	require.NoError(t, s.SetFaults(Faults{Authorize: list[Fault]{{
		Close: true, Status: 403, Code: threescale.CodeServiceTokenInvalid, Text: "no", Headers: map[string]string{"Via": "1.1 proxy"},
	}}}))
	answer, err := get()
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	assert.Equal(t, http.StatusForbidden, answer.StatusCode)
	assert.Equal(t, "1.1 proxy", answer.Header.Get("Via"))
	var half [1000]byte
	n := 0
	for err == nil {
		var m int
		m, err = answer.Body.Read(half[n:])
		n += m
	}
	assert.EqualValues(t, answer.ContentLength/2, n)
	assert.ErrorContains(t, err, "unexpected EOF")
}
