package portal

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzAnswer: for every answer of a portal, or of a server in its place: rows or an error, and an error is short.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", `{"services":[{"service":{"id":1,"name":"a"}}]}`)
	f.Add(403, "application/json", `{"error":"Access denied"}`)
	f.Add(404, "text/html", "<html>"+strings.Repeat("x", 1000))
	f.Add(200, "application/json", `[{"backend_usage":{"backend_id":1}}]`)
	f.Fuzz(func(t *testing.T, status int, kind, body string) {
		answer := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}}
		e := refusal("/x", answer, []byte(body))
		require.NotEmpty(t, e.Fault)
		require.LessOrEqual(t, len(e.Text), mostExcerpt+8)
		if json.Valid([]byte(body)) {
			_, _ = unwrapped(json.RawMessage(body), "services")
		}
		var text Text
		_ = json.Unmarshal([]byte(body), &text)
	})
}

// FuzzAddress: an address that is taken is one, holds no token, and is taken again.
func FuzzAddress(f *testing.F) {
	for _, text := range []string{"acme", "https://3scale.example.com/a%20b%3Fc", "https://tok@acme-admin.3scale.net/", "127.0.0.1:80", "[::1]", "http://a b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		base, _, err := Address(text)
		if err != nil {
			return
		}
		again, token, err := Address(base)
		require.NoError(t, err, base)
		require.Equal(t, base, again)
		require.Empty(t, token)
	})
}
