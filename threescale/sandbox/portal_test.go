package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// portal asks the admin portal and returns status and body.
func portal(s *Sandbox, token, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	if token != "" {
		r.SetBasicAuth("", token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestPortalTokens(t *testing.T) {
	s := atNoon()
	const account, stats = "/admin/api/services.json", "/stats/services/1001/usage.json?metric_name=hits&period=day"
	for _, c := range []struct {
		token, target string
		status        int
		body          string
	}{
		{"", account, 403, `{"error":"Access denied"}`},
		{"wrong", stats, 403, `{"error":"Access denied"}`},
		{StatsToken, account, 403, `{"error":"Your access token does not have the correct permissions"}`},
		{AccountToken, stats, 403, `{"error":"Your access token does not have the correct permissions"}`},
		{MemberToken, "/stats/services/1002/usage.json?metric_name=hits&period=day", 404, `{"error":"Service not found"}`},
		{AccessToken, "/stats/services/2001/usage.json?metric_name=hits&period=day", 404, `{"error":"Service not found"}`},
		{AccessToken, "/stats/services/1001/usage.json?period=day", 400, "Required parameter missing: metric_name"},
		{AccessToken, "/stats/applications/1/usage.json?metric_name=hits&period=day", 404, `{"error":"Application not found"}`},
		{AccessToken, "/admin/api/nosuch.json", 404, `{"status":"Not found"}`},
	} {
		w := portal(s, c.token, c.target)
		assert.Equal(t, c.status, w.Code, c.target)
		assert.Equal(t, c.body, w.Body.String(), c.target)
	}
	assert.Equal(t, http.StatusOK, portal(s, "", account+"?access_token="+AccessToken).Code, "as a parameter")
	r := httptest.NewRequest(http.MethodGet, account, nil)
	r.SetBasicAuth(AccessToken, "")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	assert.Equal(t, http.StatusOK, w.Code, "as the user of Basic")
	assert.Equal(t, http.StatusNotModified, portal(s, AccessToken, account, "If-None-Match", w.Header().Get("ETag")).Code)
}

func TestPortalPages(t *testing.T) {
	s := atNoon()
	var changes []ApplicationChange
	for i := range 1200 {
		changes = append(changes, ApplicationChange{ServiceID: "1003", AppID: fmt.Sprint("many", i)})
	}
	require.NoError(t, s.PutApplications(changes...))
	var answer struct {
		Applications []struct{ Application struct{ ID int64 } }
		Metadata     *struct {
			PerPage int `json:"per_page"`
			Total   int `json:"total_entries"`
			Pages   int `json:"total_pages"`
		}
	}
	require.NoError(t, json.Unmarshal(portal(s, AccessToken, "/admin/api/applications.json?service_id=1003&per_page=10000").Body.Bytes(), &answer))
	assert.Len(t, answer.Applications, 500, "a size out of range is 500")
	assert.Equal(t, 3, answer.Metadata.Pages)
	assert.Equal(t, 1201, answer.Metadata.Total)
	answer.Metadata = nil
	require.NoError(t, json.Unmarshal(portal(s, AccessToken, "/admin/api/applications.json?service_id=1003&page=3").Body.Bytes(), &answer))
	assert.Len(t, answer.Applications, 201)
	require.NoError(t, json.Unmarshal(portal(s, AccessToken, "/admin/api/applications.json?service_id=1002").Body.Bytes(), &answer))
	assert.Len(t, answer.Applications, 1)
	assert.Greater(t, answer.Applications[0].Application.ID, int64(1)<<32)
}

// usageOf asks for hits by hour and returns total and values.
func usageOf(t *testing.T, s *Sandbox, target string) (total uint64, values []uint64) {
	t.Helper()
	w := portal(s, AccessToken, target)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var answer struct {
		Total  uint64
		Values []uint64
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return answer.Total, answer.Values
}

// TestAnalyticsCountByTimestamp: usage is counted in the hour it carries, up the hierarchy, by application
// and by service.
func TestAnalyticsCountByTimestamp(t *testing.T) {
	s := atNoon()
	at := func(app, metric string, n int, when time.Time) {
		require.Equal(t, http.StatusAccepted, report(s, fmt.Sprintf(
			"&transactions[0][app_id]=%s&transactions[0][usage][%s]=%d&transactions[0][timestamp]=%d", app, metric, n, when.Unix())))
	}
	at("app1", "search", 3, noon.Add(-2*time.Hour))
	at("app2", "hits", 4, noon.Add(-2*time.Hour))
	at("app2", "hits", 5, noon.Add(-26*time.Hour)) // too old: discarded
	at("app1", "hits", 1, noon)
	require.NoError(t, s.Settle(t.Context()))

	day := noon.Format("2006-01-02")
	span := fmt.Sprintf("&timezone=UTC&granularity=hour&since=%s+09:00:00&until=%s+12:59:59", day, day)
	total, values := usageOf(t, s, "/stats/services/1001/usage.json?metric_name=hits"+span)
	assert.EqualValues(t, 8, total)
	assert.Equal(t, []uint64{0, 7, 0, 1}, values)
	app1 := s.directory.application("1001", "app1").number
	_, values = usageOf(t, s, fmt.Sprintf("/stats/applications/%d/usage.json?metric_name=hits%s", app1, span))
	assert.Equal(t, []uint64{0, 3, 0, 1}, values)
	_, values = usageOf(t, s, "/stats/services/1001/usage.json?metric_name=hits&timezone=Asia/Kolkata&granularity=day&since="+day+"&until="+day)
	assert.Equal(t, []uint64{8}, values)
	_, values = usageOf(t, s, "/stats/services/1001/usage.json?metric_name=hits&period=day")
	assert.Len(t, values, 25, "a day that begins inside an hour has 25")

	var top struct {
		Applications []struct{ Name, Value string }
	}
	require.NoError(t, json.Unmarshal(portal(s, AccessToken, "/stats/services/1001/top_applications.json?metric_name=hits&period=day&since="+day).Body.Bytes(), &top))
	assert.Equal(t, []struct{ Name, Value string }{{"Application app1", "4"}, {"Application app2", "4"}}, top.Applications)
}

func TestPortalFaults(t *testing.T) {
	s := atNoon()
	require.Equal(t, http.StatusOK, control(t, s, http.MethodPut, "/sandbox/faults",
		`{"analytics":{"status":429,"retry_after":"7","times":1},"account":{"status":503,"service_id":"1002","times":1}}`, nil))
	const stats = "/stats/services/1001/usage.json?metric_name=hits&period=day"
	w := portal(s, AccessToken, stats)
	assert.Equal(t, http.StatusTooManyRequests, w.Code)
	assert.Equal(t, "7", w.Header().Get("Retry-After"))
	assert.Equal(t, http.StatusOK, portal(s, AccessToken, stats).Code)
	assert.Equal(t, http.StatusOK, portal(s, AccessToken, "/admin/api/services/1001/metrics.json").Code)
	assert.Equal(t, http.StatusServiceUnavailable, portal(s, AccessToken, "/admin/api/services/1002/metrics.json").Code)
	assert.EqualValues(t, 2, s.Calls().Analytics)
	assert.EqualValues(t, 2, s.Calls().Account)
}

// TestBackendMetrics: a metric called name.<id> belongs to a backend API, and only there is it listed.
func TestBackendMetrics(t *testing.T) {
	s := atNoon()
	require.NoError(t, s.PutServices(ServiceChange{ID: "1001", Metrics: []Metric{{Name: "hits.12", Parent: "hits"}}}))
	assert.NotContains(t, portal(s, AccessToken, "/admin/api/services/1001/metrics.json").Body.String(), "hits.12")
	assert.Contains(t, portal(s, AccessToken, "/admin/api/services/1001/backend_usages.json").Body.String(), `"backend_id":12`)
	assert.Contains(t, portal(s, AccessToken, "/admin/api/backend_apis/12/metrics.json").Body.String(), `"system_name":"hits.12"`)
}
