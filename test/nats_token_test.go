package test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tokenFile writes a file of producers' tokens, each NAME-token for a service, with more lines behind the entry.
func tokenFile(t *testing.T, file string, entries map[string]string) {
	t.Helper()
	text := "tokens:\n"
	for name, more := range entries {
		text += fmt.Sprintf("  - {name: %s, sha256: %x, %s}\n", name, sha256.Sum256([]byte(name+"-token")), more)
	}
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}

// TestEmbeddedServerAsksForTokens: the embedded NATS server takes the tokens of HTTP, for their services and at their rates, and
// ends the connections of those that are taken back.
func TestEmbeddedServerAsksForTokens(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	file := filepath.Join(t.TempDir(), "producers.yaml")
	tokens := map[string]string{"shop": `services: ["1001"]`, "slow": `services: ["1001"], rate: 1`}
	tokenFile(t, file, tokens)
	d := launch(t, newSettings(t, b.url).set("auth.tokens_file", file).set("nats.embedded", true).set("nats.listen", "127.0.0.1:0").write(t))
	d.ready()
	url := "nats://" + d.address("nats")

	_, err := nats.Connect(url, nats.NoReconnect())
	require.ErrorIs(t, err, nats.ErrAuthorization)
	_, err = nats.Connect(url, nats.Token("other-token"), nats.NoReconnect())
	require.ErrorIs(t, err, nats.ErrAuthorization)

	shop, err := nats.Connect(url, nats.Token("shop-token"), nats.NoReconnect())
	require.NoError(t, err)
	defer shop.Close()
	usage := []byte(`{"app_id":"app1","usage":{"hits":1}}`)
	answer, err := shop.Request("usage.1001", usage, 5*time.Second)
	require.NoError(t, err)
	assert.JSONEq(t, `{"accepted":1,"duplicates":0}`, string(answer.Data))
	answer, err = shop.Request("authorize.1001", []byte(`{"app_id":"app1","app_key":"key1"}`), 5*time.Second)
	require.NoError(t, err)
	assert.Empty(t, answer.Header.Get("Nats-Service-Error-Code"), "%s", answer.Data)
	_, err = shop.Request("usage.1003", usage, 300*time.Millisecond)
	assert.Error(t, err, "of another service")

	slow, err := nats.Connect(url, nats.UserInfo("slow", "slow-token"), nats.NoReconnect())
	require.NoError(t, err)
	defer slow.Close()
	many := []byte("[" + strings.Repeat(string(usage)+",", 9) + string(usage) + "]")
	codes := map[string]int{}
	for range 3 {
		answer, err := slow.Request("usage.1001", many, 5*time.Second)
		require.NoError(t, err)
		codes[answer.Header.Get("Nats-Service-Error-Code")]++
		if answer.Header.Get("Nats-Service-Error-Code") == "429" {
			assert.NotEmpty(t, answer.Header.Get("Retry-After"))
		}
	}
	assert.Equal(t, map[string]int{"": 1, "429": 2}, codes)
	answer, err = slow.Request("authrep.1001", []byte(`{"app_id":"app1","app_key":"key1","usage":{"hits":1}}`), 5*time.Second)
	require.NoError(t, err)
	assert.Equal(t, "429", answer.Header.Get("Nats-Service-Error-Code"), "authrep counts, too")
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.traffic+"/v1/authrep", strings.NewReader(`{"service_id":"1001","app_id":"app1","app_key":"key1","usage":{"hits":1}}`))
	require.NoError(t, err)
	q.Header.Set("Authorization", "Bearer slow-token")
	got, err := testClient.Do(q)
	require.NoError(t, err)
	_ = got.Body.Close()
	assert.Equal(t, http.StatusTooManyRequests, got.StatusCode)
	assert.NotEmpty(t, got.Header.Get("Retry-After"))

	delete(tokens, "slow")
	tokenFile(t, file, tokens)
	eventually(t, 20*time.Second, "the taken token's connection ends", slow.IsClosed)
	require.NoError(t, shop.Flush())
}
