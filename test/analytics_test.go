package test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
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
	d := serve(t, newSettings(t, b.url).set("portal.url", b.url).set("portal.access_token", "atoken").set("portal.per_second", 100))
	now := time.Now()
	for i := range 200 {
		e := hit("1001", []string{"app1", "app2"}[i%2])
		e.Timestamp = now.Add(-time.Duration(i*i%1380) * time.Minute).UTC().Format(time.RFC3339)
		e.Usage = map[string]uint64{"transfer": uint64(i), []string{"hits", "search", "search_deep"}[i%3]: 1}
		d.send(e)
	}
	d.drained(30 * time.Second)
	ask := func(base string, q url.Values) series {
		return read[series](t, mustCall(t, http.StatusOK, "GET", base+"/stats/services/1001/usage.json?"+q.Encode(), nil))
	}
	d.booked()
	eventually(t, 20*time.Second, "the portal's catalogue is read", func() bool {
		return strings.Contains(mustCall(t, http.StatusOK, "GET", d.admin+"/admin/api/services.json", nil).body, `"name":"Orders"`)
	})
	for _, metric := range []string{"transfer", "hits", "search"} { // a method counts for what is above it
		for _, q := range []string{
			"period=day", "period=week", "period=month", "period=year", "period=eternity", "period=day&timezone=Madrid", "period=week&timezone=Tokyo",
			fmt.Sprintf("granularity=hour&since=%s&until=%s", now.UTC().AddDate(0, 0, -2).Format(time.DateOnly), now.UTC().AddDate(0, 0, 1).Format(time.DateOnly)), // until the day begins
		} {
			v, err := url.ParseQuery(q)
			require.NoError(t, err)
			v.Set("metric_name", metric)
			ours := ask(d.admin, v)
			v.Set("access_token", "atoken")
			assert.Equal(t, ask(b.url, v), ours, "%s %s", metric, q)
			assert.NotZero(t, ours.Total, "%s %s", metric, q)
		}
	}
	same := func(path string) {
		t.Helper()
		ours := mustCall(t, http.StatusOK, "GET", d.admin+path, nil).body
		theirs := mustCall(t, http.StatusOK, "GET", b.url+path+"&access_token=atoken", nil).body
		assert.JSONEq(t, theirs, ours, path)
	}
	same("/stats/services/1001/top_applications.json?metric_name=hits&period=month&since=" + now.UTC().Format(time.DateOnly))
	same("/admin/api/services/1001/metrics.json?")
	applications := mustCall(t, http.StatusOK, "GET", d.admin+"/admin/api/applications.json?service_id=1001", nil).body
	assert.Contains(t, applications, `"application_id":"app2"`)
	assert.NotContains(t, applications, "provider_verification_key")
	found := read[struct{ Application struct{ ID int64 } }](t, mustCall(t, http.StatusOK, "GET", d.admin+"/admin/api/applications/find.json?service_id=1001&app_id=app1", nil))
	same(fmt.Sprintf("/stats/applications/%d/usage.json?metric_name=transfer&period=week&skip_change=false", found.Application.ID))
}
