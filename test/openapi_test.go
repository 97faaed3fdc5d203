package test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// description is console/openapi.yaml, and what finds an operation in it.
var description = sync.OnceValues(func() (*openapi3.T, routers.Router) {
	for _, media := range []string{"application/vnd.3scale-v2.0+xml", "application/xml", "application/x-ndjson"} {
		openapi3filter.RegisterBodyDecoder(media, openapi3filter.FileBodyDecoder)
	}
	document, err := openapi3.NewLoader().LoadFromFile("../console/openapi.yaml")
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

// otherVersions are the addresses of daemons of other versions, whose answers the document does not describe.
var otherVersions sync.Map

// conforms holds an answer against the document, and the request, too, where it was answered well: tests send wrong ones, as well.
// It returns the operation; empty: the document does not describe it, as the sandbox's own.
func conforms(t testing.TB, method, url, contentType string, body []byte, got answer) (operation string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	require.NoError(t, err)
	if len(body) > 0 {
		request.Header.Set("Content-Type", contentType)
	}
	if _, other := otherVersions.Load(request.URL.Host); other {
		return ""
	}
	_, router := description()
	route, parameters, err := router.FindRoute(request)
	if err != nil {
		return ""
	}
	in := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if got.status < 300 {
		assert.NoError(t, openapi3filter.ValidateRequest(t.Context(), in), "%s %s", method, url)
	}
	if operation = route.Operation.OperationID; operation == "description" || operation == "follow" {
		return operation // no JSON
	}
	assert.NoError(t, openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: got.status, Header: got.header, Body: io.NopCloser(strings.NewReader(got.body)), Options: in.Options,
	}), "%s %s: %d %s", method, url, got.status, got.body)
	return operation
}

// TestEveryOperationAnswersAsDescribed calls each operation of the document at a daemon: what is sent and answered conforms.
func TestEveryOperationAnswersAsDescribed(t *testing.T) {
	t.Parallel()
	p := quickStart(t)
	traffic, admin := "http://"+p.await("traffic"), "http://"+p.await("admin")
	const event = `{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`
	const nosuch = `{"service_id":"1001","app_id":"nosuch","usage":{"hits":1}}`
	const credentials = "service_token=stoken1001&service_id=1001&app_id=app1"
	const form = "application/x-www-form-urlencoded"
	const asJSON = "application/json"
	called := map[string]bool{"follow": true} // it never ends
	for _, c := range []struct {
		status                  int
		method, url, kind, body string
	}{
		{202, "POST", traffic + "/v1/events", asJSON, event},
		{202, "POST", traffic + "/v1/events", asJSON, "[" + event + "," + nosuch + "]"},
		{202, "POST", traffic + "/v1/events", "application/x-ndjson", event + "\n" + event + "\n"},
		{422, "POST", traffic + "/v1/events", asJSON, `{"service_id":"9","app_id":"app1","usage":{"hits":1}}`},
		{400, "POST", traffic + "/v1/events", asJSON, `{`},
		{415, "POST", traffic + "/v1/events", "text/csv", `a,b`},
		{200, "POST", traffic + "/v1/authorize", asJSON, event},
		{200, "POST", traffic + "/v1/authrep", asJSON, event},
		{404, "POST", traffic + "/v1/authorize", asJSON, nosuch},
		{202, "POST", traffic + "/transactions.xml", form, "service_token=stoken1001&service_id=1001&transactions[0][app_id]=app1&transactions[0][usage][hits]=1"},
		{200, "GET", traffic + "/transactions/authorize.xml?" + credentials + "&app_key=key1", "", ""},
		{200, "GET", traffic + "/transactions/authrep.xml?" + credentials + "&app_key=key1", "", ""},
		{404, "GET", traffic + "/transactions/oauth_authorize.xml?" + credentials + "x", "", ""},
		{404, "GET", traffic + "/transactions/oauth_authrep.xml?" + credentials + "x", "", ""},
		{200, "GET", admin + "/livez", "", ""},
		{200, "GET", admin + "/readyz", "", ""},
		{200, "GET", admin + "/readyz?verbose", "", ""},
		{200, "GET", admin + "/metrics", "", ""},
		{200, "GET", admin + "/openapi.yaml", "", ""},
		{200, "GET", admin + "/openapi.json", "", ""},
		{200, "GET", admin + "/api/v1", "", ""},
		{200, "GET", admin + "/api/v1/session", "", ""},
		{200, "POST", admin + "/-/flush", "", ""},
		{200, "POST", admin + "/-/reload", "", ""},
		{200, "GET", admin + "/api/v1/status", "", ""},
		{200, "GET", admin + "/api/v1/names", "", ""},
		{200, "GET", admin + "/api/v1/history", "", ""},
		{200, "GET", admin + "/api/v1/deadletters?limit=10&since=7d", "", ""},
		{400, "GET", admin + "/api/v1/deadletters?nosuch=1", "", ""},
		{404, "GET", admin + "/api/v1/deadletters/x", "", ""},
		{200, "POST", admin + "/api/v1/deadletters/requeue", asJSON, `{"all":true,"dry_run":true}`},
		{200, "POST", admin + "/api/v1/deadletters/drop", asJSON, `{"all":true}`},
		{200, "GET", admin + "/api/v1/parked", "", ""},
		{404, "GET", admin + "/api/v1/parked/x", "", ""},
		{404, "POST", admin + "/api/v1/parked/x/resend", "", ""},
		{200, "GET", admin + "/api/v1/ledger?by=day&group=service_id", "", ""},
		{200, "GET", admin + "/api/v1/ledger?format=csv", "", ""},
		{400, "GET", admin + "/api/v1/ledger?by=week", "", ""},
		{200, "GET", admin + "/api/v1/sources", "", ""},
		{404, "GET", admin + "/api/v1/sources/nosuch", "", ""},
		{200, "POST", admin + "/api/v1/sources/preview", asJSON, `{"question":"service_usage","service":"1001","metric":"hits"}`},
		{422, "POST", admin + "/api/v1/sources/preview", asJSON, `{"question":"nosuch"}`},
		{200, "PUT", admin + "/api/v1/sources/orders", asJSON, `{"question":"accounts"}`},
		{204, "DELETE", admin + "/api/v1/sources/orders", "", ""},
		{200, "GET", admin + "/api/v1/sources.yaml", "", ""},
		{200, "GET", admin + "/api/v1/dashboards", "", ""},
		{404, "GET", admin + "/api/v1/dashboards/nosuch", "", ""},
		{200, "PUT", admin + "/api/v1/dashboards/board", asJSON, `{"tiles":[{"kind":"line","question":{"question":"service_usage","service":"1001","metric":"hits"}}]}`},
		{422, "PUT", admin + "/api/v1/dashboards/board", asJSON, `{"tiles":[{"kind":"pie"}]}`},
		{200, "GET", admin + "/api/v1/dashboards/board", "", ""},
		{200, "GET", admin + "/api/v1/dashboards/board/tiles/0?since=7d&timezone=Europe/Madrid&before=true", "", ""},
		{400, "GET", admin + "/api/v1/dashboards/board/tiles/0?since=nosuch", "", ""},
		{204, "DELETE", admin + "/api/v1/dashboards/board", "", ""},
		{404, "POST", admin + "/api/v1/sources/nosuch/test", "", ""},
		{404, "GET", admin + "/sources/nosuch.json", "", ""},
		{200, "GET", admin + "/api/v1/reconcile", "", ""},
		{200, "POST", admin + "/api/v1/reconcile?since=1h", "", ""},
		{200, "POST", admin + "/api/v1/portal/check", "", ""},
	} {
		got, err := call(testClient, c.method, c.url, c.kind, []byte(c.body))
		require.NoError(t, err)
		assert.Equal(t, c.status, got.status, "%s %s: %s", c.method, c.url, got.body)
		called[conforms(t, c.method, c.url, c.kind, []byte(c.body), got)] = true
	}
	document, _ := description()
	for path, item := range document.Paths.Map() {
		for method, o := range item.Operations() {
			assert.True(t, called[o.OperationID], "%s %s was not called", method, path)
		}
	}
}
