package cli_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"net/http/httptest"

	"github.com/reporterd/reporterd/threescale/sandbox"
)

// receipts check names what is missing, and is content when nothing is.
func TestReceiptsCheck(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	server := httptest.NewServer(http.HandlerFunc(s.ServeHTTP))
	defer server.Close()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"), []byte(`{backend: {url: "`+server.URL+`"}, services: [
		{id: "1001", token: stoken1001, receipts: {first: rf, last: rl, metrics: [r0, r1]}}, {id: "1002", token: stoken1002}]}`), 0o600))
	check := func() (int, string) {
		status, stdout, _ := execute(t, dir, nil, "receipts", "check", "--config", "r.yaml")
		return status, stdout
	}
	status, out := check()
	assert.Equal(t, 1, status)
	assert.Contains(t, out, "the first receipt application is not known to 3scale")

	require.NoError(t, s.PutServices(sandbox.ServiceChange{ID: "1001", Metrics: []sandbox.Metric{{Name: "r0"}, {Name: "r1"}}}))
	limits := []sandbox.Limit{{Metric: "r0", Period: "eternity", Max: 1 << 62}}
	put := func() {
		for _, id := range []string{"rf", "rl"} {
			require.NoError(t, s.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: id, Limits: &limits}))
		}
	}
	put()
	status, out = check()
	assert.Equal(t, 1, status)
	assert.Contains(t, out, "no limit for eternity on the metric r1")

	limits = append(limits, sandbox.Limit{Metric: "r1", Period: "eternity", Max: 1 << 62})
	put()
	status, out = check()
	assert.Equal(t, 0, status, out)
	assert.Contains(t, out, "1001")
	assert.NotContains(t, out, "1002")
	assert.Empty(t, s.Usage(), "nothing is counted")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"), []byte(`{services: [{id: "1001", token: t}]}`), 0o600))
	status, _ = check()
	assert.Equal(t, 78, status, "no service has receipts")
}
