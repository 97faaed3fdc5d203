package traffic

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const plainPost = "POST /v1/events?a=b HTTP/1.1\r\nHost: h:7070\r\nUser-Agent: x y\r\nContent-Length: 4\r\n\r\nbody"

// FuzzParse: what parse takes, net/http reads the same.
func FuzzParse(f *testing.F) {
	for _, request := range []string{plainPost, plainRequest} {
		f.Add([]byte(request))
		for _, line := range []string{
			"Connection: close", "Connection: keep-alive", "Content-Length: 3", "Transfer-Encoding: chunked", "Expect: 100-continue", "Host: other", "Host:",
			" folded: x", "User-Agent : x", "Upgrade: h2c", "\x00: x", "Accept: \x01", "a: 1\r\nA: 2", "Content-Length: 04", "Pragma: no-cache", "Cookie: a", "novalue", ": x",
		} {
			f.Add([]byte(strings.Replace(request, "User-Agent: x y", line, 1)))
		}
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		var p parser
		found, size, ok := p.parse(request)
		if !ok {
			return
		}
		u, err := url.ParseRequestURI(string(found.target))
		if err != nil {
			return
		}
		got := p.request(new(http.Request), found)
		got.URL = u
		reader := bufio.NewReader(bytes.NewReader(request))
		want, err := http.ReadRequest(reader)
		require.NoError(t, err)
		require.Equal(t, len(request)-size, reader.Buffered(), "the body begins at the same byte")
		require.Equal(t, want.Method, got.Method)
		require.Equal(t, want.URL, got.URL)
		require.Equal(t, want.RequestURI, got.RequestURI)
		require.Equal(t, want.Header, got.Header)
		require.Equal(t, want.Host, got.Host)
		require.Equal(t, want.ContentLength, got.ContentLength)
		require.Empty(t, want.TransferEncoding)
		require.False(t, want.Close)
		require.Equal(t, want.Proto, got.Proto)
	})
}

// TestParserKeepsFields: a request gets its own fields and none of the request before it.
func TestParserKeepsFields(t *testing.T) {
	var p parser
	for _, lines := range [][]string{{"A: 1", "B: 2"}, {"A: 1", "B: 2", "B: 3"}, {"B: 2"}, {}, {"A: 1", "A: 1", "B: 2"}} {
		found, _, ok := p.parse([]byte("GET / HTTP/1.1\r\nHost: h\r\n" + strings.Join(append(lines, "\r\n"), "\r\n")))
		require.True(t, ok)
		want := http.Header{}
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			want.Add(name, value)
		}
		assert.Equal(t, want, p.request(new(http.Request), found).Header)
	}
}
