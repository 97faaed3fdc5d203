package test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReplicasKeepTokensApart: a token for one service asks nothing about another, whichever replica it is shown to
// and whichever counts the other.
func TestReplicasKeepTokensApart(t *testing.T) {
	t.Parallel()
	b, bus := sandbox(t), oneServer(t)
	file := filepath.Join(t.TempDir(), "producers.yaml")
	text := fmt.Sprintf("tokens:\n  - name: shop\n    sha256: %x\n    services: [\"1001\"]\n", sha256.Sum256([]byte("shop-token")))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	var all []*daemon
	for range 2 {
		all = append(all, launch(t, clustered(t, b.url, bus).set("auth.tokens_file", file).write(t)))
	}
	for _, d := range all {
		d.ready()
	}
	for _, d := range all {
		for service, want := range map[string]int{"1001": http.StatusOK, "1003": http.StatusForbidden, "1004": http.StatusForbidden} {
			for _, path := range []string{"/v1/authorize", "/v1/authrep"} {
				body := fmt.Sprintf(`{"service_id":%q,"app_id":%q,"usage":{"hits":1}}`, service, map[string]string{"1001": "app2", "1003": "appoauth", "1004": "appref"}[service])
				q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.traffic+path, strings.NewReader(body))
				require.NoError(t, err)
				q.Header.Set("Authorization", "Bearer shop-token")
				got, err := testClient.Do(q)
				require.NoError(t, err)
				_ = got.Body.Close()
				assert.Equal(t, want, got.StatusCode, "%s %s", path, service)
			}
		}
	}
}
