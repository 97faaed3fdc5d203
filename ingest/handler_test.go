package ingest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/reporterd/reporterd/internal/memory"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBackendsOtherEndpoints(t *testing.T) {
	l := listen(t, Options{})
	for request, want := range map[string]string{
		"GET /status":                       `200 {"status":"ok","version":{"backend":"3.4.3"}}`,
		"HEAD /status":                      `200 `,
		"GET /check.txt":                    `200 ok`,
		"HEAD /available":                   `200 `,
		"GET /available":                    `404 `,
		"GET /nope":                         `404 `,
		"GET /transactions.xml":             `404 `,
		"POST /transactions.xml/":           `404 `,
		"POST /Transactions.xml":            `404 `,
		"PUT /transactions.xml":             `404 `,
		"POST /status":                      `404 `,
		"OPTIONS /transactions/authrep.xml": `204 `,
	} {
		reply := l.send(t, request+" HTTP/1.1", "")
		assert.Equal(t, want, fmt.Sprintf("%d %s", reply.StatusCode, reply.body), request)
		assert.Equal(t, "*", reply.Header.Get("Access-Control-Allow-Origin"), request)
		assert.Equal(t, "default-src 'self'", reply.Header.Get("Content-Security-Policy"), request)
		cascade := ""
		if reply.StatusCode == 404 {
			cascade = "pass"
			assert.Equal(t, "application/vnd.3scale-v2.0+xml", reply.Header.Get("Content-Type"), request)
		}
		assert.Equal(t, cascade, reply.Header.Get("X-Cascade"), request)
		if reply.StatusCode != 204 {
			assert.NotEmpty(t, reply.Header.Get("Content-Length"), request)
		}
	}
}

func TestPathAsTheBackendSeesIt(t *testing.T) {
	for path, want := range map[string]string{
		"":                       "/",
		"/":                      "/",
		"/transactions.xml":      "/transactions.xml",
		"//transactions.xml":     "/transactions.xml",
		"/x/../transactions.xml": "/transactions.xml",
		"/../transactions.xml":   "/transactions.xml",
		"/./a//b/./c":            "/a/b/c",
		`\transactions.xml`:      "/transactions.xml",
		"/transactions.xml/":     "/transactions.xml/",
		"/transactions.xml/.":    "/transactions.xml/",
		"/transactions.xml/x/..": "/transactions.xml/",
		"/.hidden":               "/.hidden",
		"/transactions/../..":    "/",
	} {
		assert.Equal(t, want, clean(path), path)
	}
}

// TestConcurrentRequestsKeepTheirOwn posts many bodies at once: each buffer serves one request at a time.
func TestConcurrentRequestsKeepTheirOwn(t *testing.T) {
	l := listen(t, Options{})
	var wg sync.WaitGroup
	const producers, requests = 8, 20
	for p := range producers {
		wg.Go(func() {
			for r := range requests {
				var body strings.Builder
				for e := range 10 {
					fmt.Fprintf(&body, `{"service_id":"1001","app_id":"p%dr%de%d","usage":{"hits":%d}}`+"\n", p, r, e, e+1)
				}
				assert.Equal(t, 202, l.post(t, "application/x-ndjson", body.String()).StatusCode)
			}
		})
	}
	wg.Wait()
	seen := make(map[string]uint64)
	for _, e := range l.take() {
		seen[e.Application.ID] += e.Usage[0].Value
	}
	require.Len(t, seen, producers*requests*10)
	for p := range producers {
		assert.EqualValues(t, 3, seen[fmt.Sprintf("p%dr7e2", p)])
	}
}

func TestHeadOfARequestIsBounded(t *testing.T) {
	l := listen(t, Options{})
	reply := l.send(t, "POST /transactions.xml?"+strings.Repeat("x", 2<<20)+" HTTP/1.1", "")
	assert.Equal(t, 431, reply.StatusCode)
}

func TestMemoryForBodiesIsBounded(t *testing.T) {
	l := listen(t, Options{Memory: memory.New(20<<10, 0)})
	body := "[" + small + strings.Repeat(" ", 30<<10) + "]"
	for range 2 {
		reply := l.post(t, "application/json", body)
		assert.Equal(t, 503, reply.StatusCode)
		assert.Equal(t, "1", reply.Header.Get("Retry-After"))
		reply = l.report(t, tokened+"transactions[0][app_id]=A"+usage+strings.Repeat("&", 20<<10))
		assert.Equal(t, 503, reply.StatusCode)
		assert.Equal(t, "1", reply.Header.Get("Retry-After"))
	}
	for range 30 {
		assert.Equal(t, 202, l.post(t, "application/json", small).StatusCode, "what a request took is given back")
		assert.Equal(t, 202, l.report(t, tokened+"transactions[0][app_id]=A").StatusCode)
	}
	assert.Zero(t, l.Handler.memory.Used())
}

func TestClientThatWaitsForContinue(t *testing.T) {
	l := listen(t, Options{})
	reply := l.exchange(t, "POST /v1/events HTTP/1.1\r\nHost: b\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
	assert.Equal(t, 100, reply.StatusCode)
}

// FuzzReportStaysInProfile posts any body: no answer but those that clients understand, and a refusal
// keeps nothing.
func FuzzReportStaysInProfile(f *testing.F) {
	for _, shape := range shapes {
		f.Add(shape.body, false)
	}
	f.Add(tokened+"transactions[0][usage][]=1&transactions[0][app_id][x]=1&transactions[0][log]=7", true)
	journal := &memJournal{seen: make(map[string]bool)}
	h := NewHandler(Options{Services: []Service{{ID: "1001", Credentials: credentials("stoken1001")}}, Journal: journal, Passthrough: true})
	f.Fuzz(func(t *testing.T, body string, multipart bool) {
		r := httptest.NewRequest(http.MethodPost, "/transactions.xml", strings.NewReader(body))
		if multipart {
			r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		kept := len(journal.take())
		require.Contains(t, []int{202, 400, 403, 404, 413, 422}, w.Code)
		require.True(t, w.Code == 202 || kept == 0)
		require.Equal(t, w.Code == 202, w.Body.Len() == 0)
		require.Zero(t, h.memory.Used())
	})
}
