package test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clientVerdict is one authorization and what a real client made of it.
type clientVerdict struct {
	Call       string
	Authorized bool
	Code       string
	Current    int
	Error      string
}

// verdicts runs a client that asks for authorizations.
func verdicts(t *testing.T, dir string, env []string, name string, args ...string) []clientVerdict {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%v: %s%s", cmd.Args, out, stderr.String())
	var all []clientVerdict
	require.NoError(t, json.Unmarshal(out, &all), "%s", out)
	return all
}

// compareVerdicts wants what the backend itself would have let the clients see: ten hits a day, four at a
// time, keys checked, and every answer understood.
func compareVerdicts(t *testing.T, all []clientVerdict) {
	t.Helper()
	want := map[string]struct {
		authorized bool
		current    int
	}{
		"fresh": {true, 0}, "used": {true, 4}, "used again": {true, 8}, "too much": {false, 8}, "as it stands": {true, 8},
		"wrong key": {false, 0}, "right key": {true, 1}, "no such application": {false, -1},
	}
	assert.Len(t, all, len(want))
	for _, v := range all {
		assert.Equal(t, want[v.Call].authorized, v.Authorized, "%+v", v)
		assert.Equal(t, want[v.Call].current, v.Current, "%+v", v)
		assert.NotContains(t, v.Error, "never came", "%+v", v)
		if !v.Authorized {
			assert.NotEmpty(t, v.Code, "%+v", v)
		}
	}
}

// TestGoClientAuthorizes: 3scale's own Go client, through the daemon.
func TestGoClientAuthorizes(t *testing.T) {
	t.Parallel() // it waits more than it works
	b := sandbox(t)
	d := serve(t, newClientSettings(t, b))
	program := filepath.Join(t.TempDir(), "client")
	out, err := exec.Command("go", "build", "-C", filepath.Join("clients", "go"), "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	compareVerdicts(t, verdicts(t, "", nil, program, d.traffic, "authorize"))
	d.drained(10 * time.Second)
	assert.Equal(t, usage{"1001": {"applim": {"hits": 8}, "app1": {"hits": 1}}}.counters(), b.usage().counters())
}

// TestNodeClientAuthorizes: 3scale's npm client, which speaks HTTPS only.
func TestNodeClientAuthorizes(t *testing.T) {
	if os.Getenv(nodeClientVariable) == "" {
		t.Skipf("needs node: run `npm ci` in test/clients/node, then set %s=1", nodeClientVariable)
	}
	b := sandbox(t)
	cert, key := certificate(t)
	d := serve(t, newClientSettings(t, b).set("tls.cert_file", cert).set("tls.key_file", key))
	host, port, err := net.SplitHostPort(d.address("traffic"))
	require.NoError(t, err)
	compareVerdicts(t, verdicts(t, filepath.Join("clients", "node"), []string{"NODE_EXTRA_CA_CERTS=" + cert, "NODE_NO_WARNINGS=1"},
		"node", "authorize.js", host, port))
	d.drained(10 * time.Second)
	assert.Equal(t, usage{"1001": {"applim": {"hits": 8}, "app1": {"hits": 1}}}.counters(), b.usage().counters())
}
