package ingest

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/access"
)

// tokens are those of producers by name; each one's token is its name.
func tokens(t *testing.T, services map[string]string) *access.Tokens {
	t.Helper()
	text := "tokens:\n"
	for name, list := range services {
		text += fmt.Sprintf("  - {name: %s, sha256: %x, services: %s}\n", name, sha256.Sum256([]byte(name)), list)
	}
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	out, err := access.Open(file, access.Producers)
	require.NoError(t, err)
	return out
}

func TestNativeCallsNeedATokenWhereTokensAreAskedFor(t *testing.T) {
	var asked *access.Grant
	l := listen(t, Options{
		Tokens: tokens(t, map[string]string{"shop": `["1001"]`, "all": `["*"]`}),
		Other: func(_, path string) http.Handler {
			if path != "/v1/authorize" {
				return nil
			}
			return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = access.From(r.Context()) })
		},
	})
	for _, token := range []string{"", "\nAuthorization: Bearer wrong", "\nAuthorization: Basic c2hvcDo=", "\nAuthorization: Bearer"} {
		for _, path := range []string{"/v1/events", "/v1/authorize", "//v1/./events"} {
			reply := l.send(t, "POST "+path+" HTTP/1.1"+token, small)
			assert.Equal(t, 401, reply.StatusCode, path+token)
			assert.Equal(t, `Bearer realm="reporterd"`, reply.Header.Get("WWW-Authenticate"))
			assert.Equal(t, "application/problem+json", reply.Header.Get("Content-Type"))
		}
	}
	assert.Empty(t, l.take())
	assert.Nil(t, asked)
	assert.Equal(t, 202, l.send(t, "POST /v1/events HTTP/1.1\nAuthorization: Bearer shop", small).StatusCode)
	assert.Equal(t, 202, l.send(t, "POST /v1/events HTTP/1.1\nauthorization: bearer  all", small).StatusCode)
	assert.Len(t, l.take(), 2)
	assert.Equal(t, 200, l.send(t, "POST /v1/authorize HTTP/1.1\nAuthorization: Bearer shop", "{}").StatusCode)
	assert.Equal(t, "shop", asked.Name)
	assert.EqualValues(t, 8, l.Stats().Events.Requests[401])

	assert.Equal(t, 202, l.report(t, "service_token=stoken1001&service_id=1001&transactions[0][app_id]=a&transactions[0][usage][hits]=1").StatusCode,
		"3scale's own calls carry 3scale's credentials")

	w := httptest.NewRecorder()
	l.Unauthenticated().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/v1/authorize", strings.NewReader("{}")))
	assert.Equal(t, 200, w.Code, "the NATS server asks its clients")
	assert.Nil(t, asked)
}

func TestATokenSendsForItsServicesOnly(t *testing.T) {
	l := listen(t, Options{Tokens: tokens(t, map[string]string{"shop": `["1001", "1009"]`})})
	const other = `{"service_id":"1002","app_id":"app1","usage":{"hits":1}}`
	const unknown = `{"service_id":"1003","app_id":"app1","usage":{"hits":1}}`
	const unconfigured = `{"service_id":"1009","app_id":"app1","usage":{"hits":1}}`
	const none = `{"app_id":"app1","usage":{"hits":1}}`
	for body, want := range map[string]string{
		small:                             "202",
		"[" + small + "," + small + "]":   "202",
		"[" + small + "," + other + "]":   `403 [{"index":1,"field":"service_id","detail":"is not a service that this token may send for"}]`,
		"[" + unknown + "," + small + "]": `403 [{"index":0,"field":"service_id","detail":"is not a service that this token may send for"}]`,
		"[" + other + "," + other + "]": `403 [{"index":0,"field":"service_id","detail":"is not a service that this token may send for"},` +
			`{"index":1,"field":"service_id","detail":"is not a service that this token may send for"}]`,
		unconfigured: `422 [{"index":0,"field":"service_id","detail":"is not a configured service"}]`,
		none:         `422 [{"index":0,"field":"service_id","detail":"is required"}]`,
	} {
		reply := l.send(t, "POST /v1/events HTTP/1.1\nAuthorization: Bearer shop", body)
		assert.Equal(t, want[:3], fmt.Sprint(reply.StatusCode), body)
		if len(want) > 3 {
			assert.Contains(t, reply.body, `"errors":`+want[4:], body)
			assert.Empty(t, l.take(), body)
		}
		l.take()
	}
	assert.Equal(t, 202, l.send(t, "POST /v1/events HTTP/1.1\nAuthorization: Bearer shop", small).StatusCode, "nothing of a refusal stays")
}

// A browser on this machine must not send for a page of another site, nor for one whose name leads here.
func TestAPageOfAnotherSiteCannotSend(t *testing.T) {
	l := listen(t, Options{})
	for origin, want := range map[string]int{
		"https://evil.example": 403, "null": 403, "http://127.0.0.1.evil.example": 403, "http://localhost:3000": 202, "http://127.0.0.1:7071": 202,
	} {
		assert.Equal(t, want, l.send(t, "POST /v1/events HTTP/1.1\nOrigin: "+origin, small).StatusCode, origin)
	}
	guarded := listen(t, Options{Tokens: tokens(t, map[string]string{"shop": `["1001"]`})})
	assert.Equal(t, 202, guarded.send(t, "POST /v1/events HTTP/1.1\nOrigin: https://shop.example\nAuthorization: Bearer shop", small).StatusCode,
		"such a page has no token, unless it was given one")
}
