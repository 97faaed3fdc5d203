package daemon

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/threescale/analytics"
)

// TestHitsOfANewService: a service without usage has hits, as 3scale's have, and no other metric.
func TestHitsOfANewService(t *testing.T) {
	l, err := ledger.Open(ledger.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	defer func() { assert.NoError(t, l.Close()) }()
	k := &analyticsAPI{
		ledger: l, order: func() []string { return []string{"1001"} }, parents: func(string) map[string]string { return nil },
		lists: make(map[string]applicationList),
	}
	api := analytics.New(analytics.Options{Source: k.source()})
	for metric, want := range map[string]int{"hits": http.StatusOK, "search": http.StatusBadRequest} {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/stats/services/1001/usage.json?period=day&metric_name="+metric, nil))
		assert.Equal(t, want, w.Code, "%s: %s", metric, w.Body)
	}
}
