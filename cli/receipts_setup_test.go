package cli_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale/sandbox"
)

// TestReceiptsSetup: a dry run changes nothing; a setup that was interrupted is completed; a second one finds nothing to
// do; check is content; what is configured is not removed; and remove leaves nothing.
func TestReceiptsSetup(t *testing.T) {
	t.Parallel()
	for service, keys := range map[string]string{"1001": "", "1002": ", user_keys: true"} {
		t.Run(service, func(t *testing.T) {
			s := sandbox.New(sandbox.Options{})
			server := httptest.NewServer(http.HandlerFunc(s.ServeHTTP))
			defer server.Close()
			dir := t.TempDir()
			configure := func(receipts string) {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"), []byte(`{backend: {url: "`+server.URL+`"}, portal: {url: "`+server.URL+
					`", access_token: atoken, per_second: 100}, services: [{id: "`+service+`", token: stoken`+service+receipts+`}]}`), 0o600))
			}
			run := func(args ...string) (int, string) {
				status, stdout, stderr := execute(t, dir, nil, append([]string{"receipts"}, append(args, "--config", "r.yaml")...)...)
				return status, stdout + stderr
			}
			configure("")
			status, out := run("setup", "--service", service, "--dry-run")
			assert.Zero(t, status, out)
			assert.Equal(t, 39, strings.Count(out, "would"), out)
			assert.Contains(t, out, "create metric reporterd_r15 in service "+service)
			status, _ = run("setup", "--service", service)
			assert.Equal(t, 2, status, "no terminal, and no --yes")

			require.NoError(t, s.PutServices(sandbox.ServiceChange{ID: service, Metrics: []sandbox.Metric{{Name: "reporterd_r0"}, {Name: "reporterd_r1"}}}))
			status, out = run("setup", "--service", service, "--yes")
			assert.Zero(t, status, out)
			assert.Equal(t, 37, strings.Count(out, "done"), "as after a setup that was interrupted: %s", out)
			status, out = run("setup", "--service", service, "--yes")
			assert.Zero(t, status)
			assert.Contains(t, out, "nothing is to be done")

			configure(`, receipts: {auto: true` + keys + `}`)
			status, out = run("check")
			assert.Zero(t, status, out)
			status, out = run("remove", "--service", service, "--yes")
			assert.Equal(t, 1, status)
			assert.Contains(t, out, "remove them there")
			configure("")
			status, out = run("remove", "--service", service, "--yes")
			assert.Zero(t, status, out)
			assert.Equal(t, 21, strings.Count(out, "done"), out)
			status, out = run("remove", "--service", service, "--yes")
			assert.Zero(t, status)
			assert.Contains(t, out, "nothing is to be done")
			configure(`, receipts: {auto: true` + keys + `}`)
			status, _ = run("check")
			assert.Equal(t, 1, status)
		})
	}
}
