package test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// series is what a dashboard reads of a usage answer.
type series struct {
	Period struct {
		Since, Until, Timezone string
		Granularity            any
	}
	Total  uint64
	Values []uint64
}

// TestAnalyticsLikeThePortal asks the daemon and the stand-in for 3scale's portal the same questions after everything
// was delivered: they answer with the same ranges and the same numbers.
func TestAnalyticsLikeThePortal(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	d := serve(t, newSettings(t, b.url))
	now := time.Now()
	for i := range 200 {
		e := hit("1001", []string{"app1", "app2"}[i%2])
		e.Timestamp = now.Add(-time.Duration(i*i%1380) * time.Minute).UTC().Format(time.RFC3339)
		e.Usage = map[string]uint64{"transfer": uint64(i)}
		d.send(e)
	}
	d.drained(30 * time.Second)
	ask := func(base string, q url.Values) series {
		return read[series](t, mustCall(t, http.StatusOK, "GET", base+"/stats/services/1001/usage.json?"+q.Encode(), nil))
	}
	d.booked()
	for _, q := range []string{
		"period=day", "period=week", "period=month", "period=year", "period=eternity", "period=day&timezone=Madrid", "period=week&timezone=Tokyo",
		fmt.Sprintf("granularity=hour&since=%s&until=%s", now.UTC().AddDate(0, 0, -2).Format(time.DateOnly), now.UTC().Format(time.DateOnly)),
	} {
		v, err := url.ParseQuery(q)
		require.NoError(t, err)
		v.Set("metric_name", "transfer")
		ours := ask(d.admin, v)
		v.Set("access_token", "atoken")
		assert.Equal(t, ask(b.url, v), ours, q)
		assert.NotEmpty(t, ours.Values, q)
	}
	services := mustCall(t, http.StatusOK, "GET", d.admin+"/admin/api/services.json", nil).body
	assert.Contains(t, services, `"id":1001`)
	assert.Contains(t, mustCall(t, http.StatusOK, "GET", d.admin+"/admin/api/applications.json?service_id=1001", nil).body, `"application_id":"app2"`)
}
