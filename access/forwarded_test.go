package access

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func forwarded(t *testing.T, trusted string) Forwarded {
	t.Helper()
	n, err := ParseNetworks(trusted)
	require.NoError(t, err)
	return Forwarded{Trusted: n, Field: "X-Forwarded-For"}
}

// The last address that is not trusted is the caller's; what a caller wrote before it means nothing.
func TestForwardedAddresses(t *testing.T) {
	for _, c := range []struct {
		peer   string
		fields []string
		want   string
	}{
		{"10.0.0.1:4711", []string{"203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:4711", []string{"198.51.100.1, 203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:4711", []string{"198.51.100.1", "203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:4711", []string{"198.51.100.1, 203.0.113.7, 10.0.0.2"}, "203.0.113.7"},
		{"10.0.0.1:4711", []string{"203.0.113.7:4000"}, "203.0.113.7"},
		{"10.0.0.1:4711", []string{"[2001:db8::1]:4000"}, "2001:db8::1"},
		{"10.0.0.1:4711", []string{"2001:db8::1"}, "2001:db8::1"},
		{"10.0.0.1:4711", []string{"::ffff:203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:4711", []string{"198.51.100.1, unknown"}, "10.0.0.1:4711"},
		{"10.0.0.1:4711", []string{"198.51.100.1, unknown, 10.0.0.3"}, "10.0.0.3"},
		{"10.0.0.1:4711", []string{"10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:4711", []string{""}, "10.0.0.1:4711"},
		{"10.0.0.1:4711", nil, "10.0.0.1:4711"},
		{"203.0.113.9:4711", []string{"198.51.100.1"}, "203.0.113.9:4711"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		for _, f := range c.fields {
			r.Header.Add("X-Forwarded-For", f)
		}
		got := ""
		forwarded(t, "10.0.0.0/8").Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })).ServeHTTP(httptest.NewRecorder(), r)
		assert.Equal(t, c.want, got, "%v", c)
	}
}

// One address behind a proxy has as many requests under way as it may; another one is not held up by it.
func TestForwardedBound(t *testing.T) {
	entered, leave := make(chan string), make(chan struct{})
	f := forwarded(t, "127.0.0.1")
	f.PerAddress = 2
	s := httptest.NewServer(f.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		entered <- r.RemoteAddr
		<-leave
	})))
	defer s.Close()
	statuses := make(chan int, 4)
	get := func(address string) {
		r, err := http.NewRequest(http.MethodGet, s.URL, nil)
		if err == nil {
			r.Header.Set("X-Forwarded-For", address)
			var answer *http.Response
			if answer, err = http.DefaultClient.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
				statuses <- answer.StatusCode
				return
			}
		}
		statuses <- 0
	}
	for range 2 {
		go get("203.0.113.7")
		assert.Equal(t, "203.0.113.7", <-entered)
	}
	go get("203.0.113.7")
	assert.Equal(t, http.StatusTooManyRequests, <-statuses)
	go get("203.0.113.8")
	assert.Equal(t, "203.0.113.8", <-entered)
	close(leave)
	for range 3 {
		assert.Equal(t, http.StatusOK, <-statuses)
	}
}

// What a proxy passed on shows it by a field, by its version of HTTP, or by the origin of an order.
func TestPassedOn(t *testing.T) {
	for _, c := range []struct {
		method, version, field, value string
		want                          bool
	}{
		{"GET", "HTTP/1.1", "Accept", "*/*", false},
		{"GET", "HTTP/2.0", "Accept", "*/*", false},
		{"GET", "HTTP/1.0", "Connection", "close", true},
		{"GET", "HTTP/1.1", "X-Forwarded-For", "192.0.2.1", true},
		{"GET", "HTTP/1.1", "X-Real-IP", "192.0.2.1", true},
		{"GET", "HTTP/1.1", "Via", "1.1 proxy", true},
		{"GET", "HTTP/1.1", "Origin", "https://dashboards.example", false},
		{"POST", "HTTP/1.1", "Origin", "https://console.example", true},
		{"POST", "HTTP/1.1", "Origin", "null", true},
		{"POST", "HTTP/1.1", "Origin", "http://127.0.0.1:7071", false},
		{"POST", "HTTP/1.1", "Accept", "*/*", false},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		var ok bool
		r.ProtoMajor, r.ProtoMinor, ok = http.ParseHTTPVersion(c.version)
		assert.True(t, ok)
		r.Header.Set(c.field, c.value)
		assert.Equal(t, c.want, PassedOn(r), "%+v", c)
	}
}
