package console_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/console"
)

// described is the document that the admin listener serves, and what finds an operation in it.
var described = sync.OnceValues(func() (*openapi3.T, routers.Router) {
	w := httptest.NewRecorder()
	console.New(options()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.yaml", nil))
	document, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	if err != nil {
		panic(err)
	}
	document.Servers = nil // any host
	router, err := gorillamux.NewRouter(document)
	if err != nil {
		panic(err)
	}
	return document, router
})

func init() {
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.FileBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/yaml", openapi3filter.FileBodyDecoder)
}

// conforms holds an answer against the document, and the request, too, where it was answered well: tests send wrong ones. What is
// not described is none of the API: pages, profiles, 3scale's own paths.
func conforms(t *testing.T, r *http.Request, body []byte, w *httptest.ResponseRecorder) {
	t.Helper()
	_, router := described()
	route, parameters, err := router.FindRoute(r)
	if err != nil {
		return
	}
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	in := &openapi3filter.RequestValidationInput{
		Request: again, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if w.Code < 300 {
		assert.NoError(t, openapi3filter.ValidateRequest(r.Context(), in), "%s %s", r.Method, r.URL)
	}
	if route.Operation.OperationID == "description" || strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") {
		return // no JSON
	}
	assert.NoError(t, openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: w.Code, Header: w.Header(), Body: io.NopCloser(bytes.NewReader(w.Body.Bytes())), Options: in.Options,
	}), "%s %s: %s", r.Method, r.URL, w.Body)
}

// TestDescription: the document is valid OpenAPI 3.1, and the index lists its operations of the admin listener.
func TestDescription(t *testing.T) {
	document, _ := described()
	assert.Equal(t, "3.1.0", document.OpenAPI)
	require.NoError(t, document.Validate(t.Context()))
	var same map[string]any
	require.NoError(t, json.Unmarshal(ask(t, options(), http.MethodGet, "/openapi.json").Body.Bytes(), &same))
	assert.Len(t, same["paths"], document.Paths.Len())
	index := ask(t, options(), http.MethodGet, "/api/v1").Body.String()
	for path, item := range document.Paths.Map() {
		for method, o := range item.Operations() {
			assert.NotEmpty(t, o.OperationID, path)
			assert.Equal(t, o.Tags[0] == "admin", strings.Contains(index, `"method":"`+method+`","path":"`+path+`"`), "%s %s", method, path)
		}
	}
	assert.Equal(t, index, ask(t, options(), http.MethodGet, "/api/v1/").Body.String())
}

// TestEveryRouteIsDescribed: what the admin listener serves of its API is in the document.
func TestEveryRouteIsDescribed(t *testing.T) {
	document, _ := described()
	for _, pattern := range console.OwnRoutes(options()) {
		method, path, _ := strings.Cut(pattern, " ")
		if path == "/{$}" || path == "/api/v1/{$}" || strings.HasPrefix(path, "/page/") {
			continue // the page
		}
		item := document.Paths.Value(path)
		if assert.NotNil(t, item, pattern) {
			assert.NotNil(t, item.GetOperation(method), pattern)
		}
	}
}
