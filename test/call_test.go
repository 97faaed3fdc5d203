package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answer is what a listener said.
type answer struct {
	status int
	header http.Header
	body   string
}

// newClient returns a client that reaches this machine only: a test that talks to the world is a bug.
func newClient() *http.Client {
	return &http.Client{
		Timeout: 20 * time.Second,
		Transport: &http.Transport{
			DialContext:         dialLoopback,
			MaxIdleConnsPerHost: 64,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dialLoopback refuses every address but the loopback's.
func dialLoopback(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s is not on this machine", address)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// testClient is what single calls share.
var testClient = newClient()

// call makes one request. The error is that of the transport.
func call(client *http.Client, method, url, contentType string, body []byte) (answer, error) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return do(client, req)
}

// do makes a request and reads the whole of the answer.
func do(client *http.Client, req *http.Request) (answer, error) {
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	return answer{res.StatusCode, res.Header, string(text)}, err
}

// mustCall makes one request that has to be answered with the given status.
func mustCall(t testing.TB, want int, method, url string, body any) answer {
	t.Helper()
	var raw []byte
	if body != nil {
		var err error
		raw, err = json.Marshal(body)
		require.NoError(t, err)
	}
	got, err := call(testClient, method, url, "application/json", raw)
	require.NoError(t, err)
	require.Equal(t, want, got.status, "%s %s: %s", method, url, got.body)
	conforms(t, method, url, "application/json", raw, got)
	return got
}

// read decodes an answer's JSON.
func read[T any](t testing.TB, a answer) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal([]byte(a.body), &v), "%s", a.body)
	return v
}
