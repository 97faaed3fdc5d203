package sandbox

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUsageAndCalls(t *testing.T) {
	s := atNoon()
	require.Equal(t, http.StatusAccepted, report(s, hitsOf("app1", "12")))
	require.Equal(t, http.StatusAccepted, report(s, hitsOf("nosuch", "1")+"&transactions[1][app_id]=app1&transactions[1][usage][hits]=1"))
	require.Equal(t, http.StatusBadRequest, report(s, ""))
	require.Equal(t, http.StatusOK, authorize(s, "authrep", "app_id=app1&app_key=key1&usage[search]=3", "").Code)
	require.Equal(t, http.StatusNotFound, authorize(s, "authorize", "app_id=nosuch", "").Code)

	var usage map[string]map[string]map[string]int
	require.Equal(t, http.StatusOK, control(t, s, http.MethodGet, "/sandbox/usage", "", &usage))
	assert.Equal(t, map[string]map[string]map[string]int{"1001": {"app1": {"hits": 15, "search": 3}}}, usage)

	var calls map[string]int
	require.Equal(t, http.StatusOK, control(t, s, http.MethodGet, "/sandbox/calls", "", &calls))
	assert.Equal(t, map[string]int{
		"report": 3, "authorize": 1, "authrep": 1, "transactions": 3,
		"largest_transactions": 2, "largest_params": 6, "largest_bytes": calls["largest_bytes"], "report_bytes": calls["report_bytes"],
		"analytics": 0, "account": 0, "discarded_batches": 1, "discarded_transactions": 2, "crashed_transactions": 0, "refused_reports": 1, "faults": 0,
	}, calls)
	assert.Greater(t, calls["largest_bytes"], 100)
	assert.GreaterOrEqual(t, calls["report_bytes"], calls["largest_bytes"])

	var counters Counted
	require.Equal(t, http.StatusOK, control(t, s, http.MethodGet, "/sandbox/counters?service_id=1001&app_id=app1", "", &counters))
	assert.EqualValues(t, 15, counters.Metrics["hits"]["week"]["2026-11-16T00:00:00Z"])

	var stored struct{ Errors []IntegrationError }
	require.Equal(t, http.StatusOK, control(t, s, http.MethodGet, "/sandbox/errors", "", &stored))
	require.Len(t, stored.Errors, 2)
	assert.Equal(t, IntegrationError{
		ServiceID: "1001", Code: "application_not_found", Message: `application with id="nosuch" was not found`, Transactions: 2, At: noon,
	}, stored.Errors[0])

	require.Equal(t, http.StatusOK, control(t, s, http.MethodPost, "/sandbox/reset", "", nil))
	assert.Empty(t, s.Usage())
	assert.Zero(t, s.Calls())
	assert.Empty(t, s.Errors())
}

func TestApplicationsAreCreatedAndAltered(t *testing.T) {
	s := atNoon()
	var after map[string]int
	require.Equal(t, http.StatusOK, control(t, s, http.MethodPut, "/sandbox/applications", `[
		{"service_id":"1001","app_id":"new","keys":["k"],"plan":"Mine","limits":[
			{"metric":"search","period":"day","max":7},{"metric":"hits","period":"minute","max":5},{"metric":"hits","period":"eternity","max":100}]},
		{"service_id":"1002","app_id":"keyed","user_key":"uk"}]`, &after))
	assert.Equal(t, map[string]int{"services": 6, "applications": 65}, after)

	status := func(query string) int { return authorize(s, "authorize", query, "").Code }
	assert.Equal(t, http.StatusOK, status("app_id=new&app_key=k&usage[hits]=5"))
	assert.Equal(t, http.StatusConflict, status("app_id=new&app_key=k&usage[search]=6"), "the parent's limit")
	assert.Equal(t, http.StatusConflict, status("app_id=new&app_key=wrong"))
	assert.Regexp(t, `<plan>Mine</plan>.*"hits" period="eternity".*"hits" period="minute".*"search" period="day"`,
		authorize(s, "authorize", "app_id=new&app_key=k", "").Body.String())
	byUserKey := func(key string) int {
		return ask(s, http.MethodGet, "/transactions/authorize.xml?service_token=stoken1002&service_id=1002&user_key="+key, "").Code
	}
	assert.Equal(t, http.StatusOK, byUserKey("uk"))

	alter := func(change string) {
		require.Equal(t, http.StatusOK, control(t, s, http.MethodPut, "/sandbox/applications", change, nil))
	}
	alter(`{"service_id":"1001","app_id":"new","state":"suspended"}`)
	assert.Equal(t, http.StatusConflict, status("app_id=new&app_key=k"))
	alter(`{"service_id":"1001","app_id":"new","state":"active","keys":["k2"]}`)
	assert.Equal(t, http.StatusConflict, status("app_id=new&app_key=k"), "rotated")
	assert.Equal(t, http.StatusOK, status("app_id=new&app_key=k2"))
	alter(`{"service_id":"1001","app_id":"new","plan":"Free"}`)
	assert.Equal(t, http.StatusOK, status("app_id=new&app_key=k2&usage[hits]=1000000"))
	alter(`{"service_id":"1002","app_id":"keyed","user_key":"other"}`)
	assert.Equal(t, http.StatusForbidden, byUserKey("uk"))
	assert.Equal(t, http.StatusOK, byUserKey("other"))
	alter(`{"service_id":"1001","app_id":"new","state":"deleted"}`)
	assert.Equal(t, http.StatusNotFound, status("app_id=new&app_key=k2"))
}

func TestChangesAreTakenWholeOrNotAtAll(t *testing.T) {
	s := atNoon()
	const good = `{"service_id":"1001","app_id":"good"}`
	for _, bad := range []string{
		`{"service_id":"9999","app_id":"a"}`, `{"service_id":"1001"}`, `{"service_id":"1001","app_id":"a","plan":"Nosuch"}`,
		`{"service_id":"1001","app_id":"a","limits":[{"metric":"nosuch","period":"day","max":1}]}`,
		`{"service_id":"1001","app_id":"a","limits":[{"metric":"hits","period":"fortnight","max":1}]}`,
		`{"service_id":"1001","app_id":"a","state":"gone"}`, `{"service_id":"1001","app_id":"a","colour":"red"}`,
	} {
		var said struct {
			Status int
			Detail string
		}
		require.Equal(t, http.StatusBadRequest, control(t, s, http.MethodPut, "/sandbox/applications", "["+good+","+bad+"]", &said), bad)
		assert.Equal(t, http.StatusBadRequest, said.Status)
		assert.NotEmpty(t, said.Detail)
		assert.Equal(t, http.StatusNotFound, authorize(s, "authorize", "app_id=good", "").Code)
	}
	for _, bad := range []string{
		`{}`, `{"id":"1001","backend_version":"3"}`, `{"id":"1001","state":"deleted"}`, `{"id":"1001","metrics":[{"name":"a","parent":"b"}]}`,
		`{"id":"1001","metrics":[{"name":" a"}]}`,
	} {
		assert.Equal(t, http.StatusBadRequest, control(t, s, http.MethodPut, "/sandbox/services", bad, nil), bad)
	}
}

func TestServicesAreCreatedAndAltered(t *testing.T) {
	s := atNoon()
	require.Equal(t, http.StatusOK, control(t, s, http.MethodPut, "/sandbox/services",
		`[{"id":"1001","tokens":["rotated"],"metrics":[{"name":"deepest","parent":"search_deep"}]},{"id":"3001","tokens":["t"],"state":"suspended"}]`, nil))
	assert.Equal(t, http.StatusForbidden, report(s, hitsOf("app2", "1")), "the old token")
	require.Equal(t, http.StatusAccepted, ask(s, http.MethodPost, "/transactions.xml",
		"service_token=rotated&service_id=1001&transactions[0][app_id]=app2&transactions[0][usage][deepest]=4").Code)
	require.NoError(t, s.Settle(t.Context()))
	assert.Equal(t, map[string]uint64{"deepest": 4, "search_deep": 4, "search": 4, "hits": 4}, s.Usage()["1001"]["app2"])

	require.NoError(t, s.PutApplications(ApplicationChange{ServiceID: "3001", AppID: "a"}))
	const target = "/transactions/authorize.xml?service_token=t&service_id=3001&app_id=a"
	w := ask(s, http.MethodGet, target, "", "3scale-options", "rejection_reason_header=1")
	assert.Equal(t, "service_not_active", w.Header().Get("3scale-rejection-reason"))
	require.NoError(t, s.PutServices(ServiceChange{ID: "3001", State: "active"}))
	assert.Equal(t, http.StatusOK, ask(s, http.MethodGet, target, "").Code)
}

func TestProviderKeyIsRotated(t *testing.T) {
	s := atNoon()
	require.NoError(t, s.PutServices(ServiceChange{ID: "1001", ProviderKey: new("fresh")}))
	status := func(key string) int {
		return ask(s, http.MethodGet, "/transactions/authorize.xml?service_id=1001&app_id=app2&provider_key="+key, "").Code
	}
	assert.Equal(t, http.StatusForbidden, status("pkey"))
	assert.Equal(t, http.StatusOK, status("fresh"))
}

func TestUnknownControlCalls(t *testing.T) {
	s := atNoon()
	assert.Equal(t, http.StatusNotFound, control(t, s, http.MethodGet, "/sandbox/nosuch", "", nil))
	assert.Equal(t, http.StatusNotFound, control(t, s, http.MethodDelete, "/sandbox/usage", "", nil))
}
