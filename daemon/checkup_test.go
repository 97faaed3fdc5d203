package daemon

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale/portal"
)

// TestCheckUp: without a portal the answer says so; while one check-up is under way, a second one is told to come again.
func TestCheckUp(t *testing.T) {
	ask := func(c *checkUp) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		c.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/v1/portal/check", nil))
		return w
	}
	assert.Equal(t, http.StatusNotImplemented, ask(&checkUp{}).Code)

	var c *checkUp
	asked := 0
	answers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 1 {
			second := ask(c)
			assert.Equal(t, http.StatusServiceUnavailable, second.Code)
			assert.Equal(t, "5", second.Header().Get("Retry-After"))
		}
		http.Error(w, "no", http.StatusForbidden)
	}))
	defer answers.Close()
	p, err := portal.New(portal.Options{URL: answers.URL, Token: "t"})
	require.NoError(t, err)
	c = &checkUp{portal: p, ids: func() []string { return []string{"1001"} }}
	got := ask(c)
	assert.Equal(t, http.StatusOK, got.Code)
	assert.Contains(t, got.Body.String(), `"ok":false`)
	assert.NotZero(t, asked)
}
