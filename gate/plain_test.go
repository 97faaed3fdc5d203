package gate

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/threescale"
)

const plainQuestion = "GET /gate/nginx HTTP/1.1\r\nHost: reporterd_gate\r\nX-Original-Method: GET\r\nX-Original-URI: /search?user_key=k\r\n" +
	"X-Original-Host: api.example.com\r\nX-Request-Id: 1\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n"

// Plain gives the answers that net/http's handler gives, and leaves it all that is unusual.
func TestPlain(t *testing.T) {
	for _, answer := range []authorize.Answer{
		{Limit: authorize.Limit{Max: 10, Remaining: 9, Reset: time.Minute}},
		{Code: threescale.CodeLimitsExceeded, Limit: authorize.Limit{Max: 10, Reset: 90 * time.Second}},
		{Code: threescale.CodeUserKeyInvalid, Limit: noLimit}, {Code: "x", Unknown: true, Limit: noLimit},
	} {
		for _, path := range []string{"/gate", "/gate/nginx"} {
			h, q := asked(t, answer)
			text, ok := h.Plain(nil, []byte(strings.Replace(plainQuestion, "/gate/nginx", path, 1)))
			require.True(t, ok)
			assert.Equal(t, "gate:1001:1", q.EventID)
			got, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
			require.NoError(t, err)
			body, err := io.ReadAll(got.Body)
			require.NoError(t, err)
			want := ask(h, "GET", path, "X-Original-Method", "GET", "X-Original-URI", "/search?user_key=k", "X-Original-Host", "api.example.com", "X-Request-Id", "1")
			assert.Equal(t, want.Code, got.StatusCode)
			assert.Equal(t, want.Body.String(), string(body))
			got.Header.Del("Date")
			assert.Equal(t, want.Header(), got.Header)
		}
	}
	h, _ := asked(t, yes)
	for name, unusual := range map[string]string{
		"none": "GET /gate HTTP/1.1\r\nHost: x\r\n\r\n", "other": strings.Replace(plainQuestion, "/gate/nginx", "/gate/search", 1), "part": plainQuestion[:len(plainQuestion)-2],
		"more": plainQuestion + "GET", "query": strings.Replace(plainQuestion, "/gate/nginx", "/gate?x=1", 1), "1.0": strings.Replace(plainQuestion, "1.1", "1.0", 1),
		"two": strings.Replace(plainQuestion, "Accept: */*", "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /", 1), "twice": strings.Replace(plainQuestion, "Accept: */*", "X-Original-URI: /", 1),
		"close": strings.Replace(plainQuestion, "Accept: */*", "Connection: close", 1), "body": strings.Replace(plainQuestion, "Accept: */*", "Content-Length: 1", 1),
		"hosts": strings.Replace(plainQuestion, "Accept: */*", "Host: b", 1), "folded": strings.Replace(plainQuestion, "Accept: */*", " folded", 1),
		"not ASCII": strings.Replace(plainQuestion, "*/*", "é", 1), "blank": strings.Replace(plainQuestion, "Accept:", "Accept :", 1),
	} {
		_, ok := h.Plain(nil, []byte(unusual))
		assert.False(t, ok, name)
	}
}

// What plainRequest reads, net/http reads the same.
func FuzzPlain(f *testing.F) {
	f.Add([]byte(plainQuestion))
	for _, line := range []string{"Connection: close", "Content-Length: 0", "X-Original-URI: /b", "x-original-uri:/b", "Host:", " folded: x", "A_b: c", "Te: trailers", "\x00: x", "Accept: \x01"} {
		f.Add([]byte(strings.Replace(plainQuestion, "Accept: */*", line, 1)))
	}
	f.Add([]byte(strings.ReplaceAll(plainQuestion, "\r\n", "\n")))
	f.Fuzz(func(t *testing.T, request []byte) {
		if !bytes.HasPrefix(request, plainPrefix) {
			return
		}
		got := plainRequest(request)
		if got == nil {
			return
		}
		reader := bufio.NewReader(bytes.NewReader(request))
		want, err := http.ReadRequest(reader)
		require.NoError(t, err)
		require.Zero(t, reader.Buffered(), "whole, and nothing behind")
		require.Equal(t, want.Method, got.Method)
		require.Equal(t, want.URL.EscapedPath(), got.URL.EscapedPath())
		require.Empty(t, want.URL.RawQuery)
		require.Equal(t, want.Host, got.Host)
		want.Header.Del("Connection")
		require.Equal(t, want.Header, got.Header)
		require.Zero(t, want.ContentLength)
		require.False(t, want.Close)
	})
}
