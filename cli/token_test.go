package cli_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// as sends a request with a token and returns the status of the answer.
func as(t *testing.T, token, method, url, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	return answer.StatusCode
}

// newToken runs `reporterd token create` and returns what it printed.
func newToken(t *testing.T, dir string, args ...string) string {
	t.Helper()
	status, stdout, stderr := execute(t, dir, nil, append([]string{"token", "create"}, args...)...)
	require.Equal(t, 0, status, stderr)
	require.Regexp(t, `^rpd_[A-Za-z0-9_-]{43}\n$`, stdout)
	return strings.TrimSpace(stdout)
}

func TestTokensFromTheirMakingToTheirEnd(t *testing.T) {
	dir := t.TempDir()
	shop := newToken(t, dir, "--name", "shop", "--services", "1001,1002", "--file", "producers.yaml")
	reader := newToken(t, dir, "--name", "grafana", "--scopes", "read", "--file", "operators.yaml", "--expires", "90d")
	writer := newToken(t, dir, "--name", "ops", "--scopes", "write", "--file", "operators.yaml")
	for _, name := range []string{"producers.yaml", "operators.yaml"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.EqualValues(t, 0o600, info.Mode().Perm(), name)
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		for _, token := range []string{shop, reader, writer} {
			assert.NotContains(t, string(text), token)
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"),
		[]byte("auth: {tokens_file: producers.yaml}\nadmin: {tokens_file: operators.yaml}\n"), 0o600))
	d := sandboxed(t, dir, "-c", "r.yaml")
	traffic, admin := d.ready()

	assert.Equal(t, http.StatusUnauthorized, as(t, reader, "POST", traffic+"/v1/events", event), "an operator's is no producer's")
	assert.Equal(t, http.StatusAccepted, as(t, shop, "POST", traffic+"/v1/events", event))
	assert.Equal(t, http.StatusForbidden, as(t, shop, "POST", traffic+"/v1/events", strings.Replace(event, "1001", "1003", 1)))
	assert.Equal(t, http.StatusForbidden, as(t, shop, "POST", traffic+"/v1/authorize", `{"service_id":"1003","app_id":"app1"}`))
	assert.Equal(t, http.StatusUnauthorized, as(t, shop, "GET", admin+"/metrics", ""))
	assert.Equal(t, http.StatusOK, as(t, reader, "GET", admin+"/metrics", ""))
	assert.Equal(t, http.StatusForbidden, as(t, reader, "POST", admin+"/-/flush", ""))
	assert.Equal(t, http.StatusOK, as(t, writer, "POST", admin+"/-/flush", ""))

	status, stdout, stderr := execute(t, dir, nil, "deadletter", "ls", "--data-dir", filepath.Join(dir, "reporterd-data"))
	assert.Equal(t, 0, status, "%s%s: who may read the directory may ask its daemon", stdout, stderr)
	status, _, stderr = execute(t, dir, nil, "deadletter", "ls", "--admin-url", admin)
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "a bearer token is needed")
	status, _, stderr = execute(t, dir, []string{"REPORTERD_ADMIN_TOKEN=" + reader}, "deadletter", "ls", "--admin-url", admin)
	assert.Equal(t, 0, status, stderr)

	late := newToken(t, dir, "--name", "late", "--services", "*", "--file", "producers.yaml")
	assert.Equal(t, http.StatusUnauthorized, as(t, late, "POST", traffic+"/v1/events", event))
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGHUP))
	d.eventually("the new token is known", func() bool { return as(t, late, "POST", traffic+"/v1/events", event) == http.StatusAccepted })

	require.NoError(t, os.WriteFile(filepath.Join(dir, "producers.yaml"), []byte("tokens: no\n"), 0o600))
	assert.Equal(t, http.StatusUnprocessableEntity, as(t, writer, "POST", admin+"/-/reload", ""))
	assert.Equal(t, http.StatusAccepted, as(t, late, "POST", traffic+"/v1/events", event), "a bad file changes nothing")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "producers.yaml"), []byte("tokens:\n"), 0o600))
	assert.Equal(t, http.StatusOK, as(t, writer, "POST", admin+"/-/reload", ""))
	assert.Equal(t, http.StatusUnauthorized, as(t, late, "POST", traffic+"/v1/events", event))
	for _, token := range []string{shop, reader, writer, late} {
		assert.NotContains(t, d.logged(), token)
	}
}

func TestATokenMadeElsewhere(t *testing.T) {
	dir := t.TempDir()
	cmd := command(t, dir, nil, "token", "hash", "--name", "shop", "--services", "1001", "--rate", "10")
	cmd.Stdin = strings.NewReader("a-token-that-some-machine-made\n")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Regexp(t, `^tokens:\n  - name: shop\n    sha256: [0-9a-f]{64}\n    services: \["1001"\]\n    rate: 10\n$`, string(out))
	assert.NotContains(t, string(out), "some-machine")
}
