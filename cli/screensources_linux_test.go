package cli_test

import (
	"net/http"
	"testing"

	"github.com/reporterd/reporterd/console"
)

// screenSources are the routes of two sources, one of which is stale.
func screenSources(t *testing.T) []console.Route {
	const orders = `{"name":"orders-by-day","question":"service_usage","from":"both","service":"1001","metric":"orders","since":"now-2d/d","by":"day",
		"timezone":"UTC","shape":"rows","refresh_seconds":900,"token":true,"as_of":"2026-11-21T11:50:00Z","age_seconds":600,"stale":false,"rows":2,
		"next":"2026-11-21T12:05:00Z","means_since":"2026-11-19T00:00:00Z","means_until":"2026-11-22T00:00:00Z",
		"answer_columns":[{"name":"time","type":"time"},{"name":"value_ledger","type":"integer"},{"name":"value_3scale","type":"integer"}]}`
	const top = `{"name":"top","question":"top_applications","from":"3scale","service":"1001","metric":"hits","limit":10,"timezone":"UTC","shape":"rows",
		"refresh_seconds":900,"token":false,"as_of":"2026-11-21T09:00:00Z","age_seconds":10800,"stale":true,"reason":"the portal answers 503","rows":10}`
	const rows = `{"time":"2026-11-20T00:00:00Z","value_ledger":37,"value_3scale":37},{"time":"2026-11-21T00:00:00Z","value_ledger":5,"value_3scale":4}`
	named := func(text string) http.Handler {
		found := answering(t, text)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.PathValue("name") == "orders-by-day" {
				found.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"title":"Not Found","status":404,"detail":"source: there is no source of this name"}`))
		})
	}
	return []console.Route{
		{Pattern: "GET /api/v1/sources", Handler: answering(t, `{"sources":[`+orders+`,`+top+`],"questions":{}}`)},
		{Pattern: "GET /api/v1/sources/{name}", Handler: named(orders)},
		{Pattern: "POST /api/v1/sources/{name}/test", Handler: named(`{"name":"orders-by-day","seconds":0.012,"since":"2026-11-20T00:00:00Z",
			"until":"2026-11-22T00:00:00Z","columns":[{"name":"time","type":"time"},{"name":"value_ledger","type":"integer"},{"name":"value_3scale","type":"integer"}],
			"rows_in_all":2,"rows":[` + rows + `]}`)},
		{Pattern: "GET /sources/orders-by-day.csv", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("time,value_ledger,value_3scale\n2026-11-20T00:00:00Z,37,37\n2026-11-21T00:00:00Z,5,4\n"))
		})},
	}
}
