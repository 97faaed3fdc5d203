package console

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestReader: the listener that can only read has the page of dashboards with all that it imports, protected as the console's, and nothing
// of the console.
func TestReader(t *testing.T) {
	said := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
	}
	h := Reader(said("sources"), said("dashboards"))
	get := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	for name := range readerFiles {
		w := get(http.MethodGet, "/page/"+name)
		assert.Equal(t, http.StatusOK, w.Code, name)
		assert.Equal(t, policy, w.Header().Get("Content-Security-Policy"), name)
		for _, needed := range regexp.MustCompile(`(?:from '\./|stylesheet" href="|src=")([a-z]+\.(?:css|js))`).FindAllStringSubmatch(w.Body.String(), -1) {
			assert.True(t, readerFiles[needed[1]], "%s needs %s", name, needed[1])
		}
	}
	for _, path := range []string{"/page/index.html", "/page/console.js", "/page/sources.html", "/page/api.html"} {
		assert.Equal(t, http.StatusNotFound, get(http.MethodGet, path).Code, path)
	}
	for _, path := range []string{"/", "/metrics", "/api/v1/status", "/api/v1/dashboards", "/sources/x.json", "/-/flush"} {
		assert.Equal(t, "sources", get(http.MethodGet, path).Body.String(), "%s is the sources' to refuse", path)
	}
	assert.Equal(t, "dashboards", get(http.MethodGet, "/api/v1/dashboards/x").Body.String())
	assert.Equal(t, "dashboards", get(http.MethodGet, "/api/v1/dashboards/x/tiles/0").Body.String())
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPost} {
		assert.Equal(t, "sources", get(method, "/api/v1/dashboards/x").Body.String(), method)
	}
}
