package source

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/analytics"
	"github.com/reporterd/reporterd/threescale/portal"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// sourceOf reads one source from the lines of its entry.
func sourceOf(t testing.TB, lines ...string) *Source {
	t.Helper()
	list, problems := parse([]byte("sources:\n  - " + strings.Join(lines, "\n    ") + "\n"))
	require.Empty(t, problems)
	require.Len(t, list, 1)
	return list[0]
}

// books is a ledger of 10 units of app1 and 5 of app2 in each hour of 1 February 2026, UTC.
func books(t testing.TB) *Side {
	t.Helper()
	return &Side{
		Get: func(_ context.Context, path string, q url.Values) (json.RawMessage, error) {
			switch path {
			case "/api/v1/ledger":
				assert.Equal(t, []string{"service_id,metric", "day", "10000"}, []string{q.Get("group"), q.Get("by"), q.Get("limit")})
				if q.Get("cursor") == "" {
					return json.RawMessage(`{"rows":[{"time":"2026-02-01T00:00:00Z","service_id":"1001","metric":"hits","accepted":5,"delivered":4,"ambiguous":0,"dead":1,"restamped":0,"lost":0,"pending":0}],"next":"x"}`), nil
				}
				return json.RawMessage(`{"rows":[{"time":"2026-02-02T00:00:00Z","service_id":"1001","metric":"hits","accepted":2,"delivered":2,"ambiguous":0,"dead":0,"restamped":0,"lost":0,"pending":0}]}`), nil
			case "/api/v1/deadletters":
				return json.RawMessage(`{"deadletters":[{"service_id":"1001","events":3,"reason":{"code":"application_not_found"},"created_at":"2026-02-01T10:00:00Z"},{"service_id":"1001","events":1,"reason":{"code":"application_not_found"},"created_at":"2026-02-01T11:00:00Z"}],"next":""}`), nil
			case "/api/v1/reconcile":
				return json.RawMessage(`{"enabled":true,"summary":{"match":1},"cells":[{"service_id":"1001","hour":"2026-02-01T10:00:00Z","metric":"hits","delivered":10,"upstream":10,"verdict":"match"}],"batches":[]}`), nil
			}
			return nil, assert.AnError
		},
		Applications: func(context.Context, string) ([]analytics.Application, error) {
			return []analytics.Application{{ID: 1, Key: "app1", Name: "Acme Web", AccountName: "ACME", PlanID: 1}, {ID: 2, Key: "app2", Name: "App 2", PlanID: 1}}, nil
		},
		Usage: func(_ context.Context, q UsageQuery, add func(string, time.Time, int64)) error {
			for hour := q.Since; hour.Before(q.Until); hour = hour.Add(time.Hour) {
				if hour.Year() != 2026 || hour.Month() != time.February || hour.Day() != 1 {
					continue
				}
				at := hour
				if q.Daily {
					at = hour.Truncate(24 * time.Hour)
				}
				for app, n := range map[string]int64{"app1": 10, "app2": 5} {
					if q.Application == "" || q.Application == app {
						name := app
						if !q.Each {
							name = ""
						}
						add(name, at, n)
					}
				}
			}
			return nil
		},
	}
}

// TestCatalogue: the questions of the ledger, with their columns.
func TestCatalogue(t *testing.T) {
	const february = "since: 2026-02-01\n    until: 2026-02-02"
	sides := Sides{Ledger: books(t)}
	for entry, want := range map[string]string{
		"question: service_usage\n    service: 1001\n    metric: hits\n    " + february:                                                     "time,integer\ntime,value\n2026-02-01T00:00:00Z,360\n2026-02-02T00:00:00Z,0\n",
		"question: application_usage\n    service: 1001\n    application: app2\n    metric: hits\n    columns: {value: n}\n    " + february: "time,integer\ntime,n\n2026-02-01T00:00:00Z,120\n2026-02-02T00:00:00Z,0\n",
		"question: service_usage\n    service: 1001\n    metric: hits\n    timezone: Europe/Madrid\n    " + february:                        "time,integer\ntime,value\n2026-02-01T00:00:00+01:00,345\n2026-02-02T00:00:00+01:00,15\n",
		"question: service_usage\n    service: 1001\n    metric: hits\n    by: month\n    " + february:                                      "time,integer\ntime,value\n2026-02-01T00:00:00Z,360\n",
		"question: usage_by_application\n    service: 1001\n    metric: hits\n    " + february: "time,string,string,string,integer\ntime,application,name,account,value\n" +
			"2026-02-01T00:00:00Z,app1,Acme Web,ACME,240\n2026-02-01T00:00:00Z,app2,App 2,,120\n",
		"question: top_applications\n    service: 1001\n    metric: hits\n    limit: 1\n    " + february: "string,string,string,integer\napplication,name,account,value\napp1,Acme Web,ACME,240\n",
		"question: deliveries\n    " + february: "time,string,string,integer,integer,integer,integer,integer,integer,integer\ntime,service,metric,accepted,delivered,ambiguous,dead,restamped,lost,pending\n" +
			"2026-02-01T00:00:00Z,1001,hits,5,4,0,1,0,0,0\n2026-02-02T00:00:00Z,1001,hits,2,2,0,0,0,0,0\n",
		"question: dead_letters\n    " + february: "string,string,integer,integer,time\nservice,reason,letters,events,latest\n1001,application_not_found,2,4,2026-02-01T11:00:00Z\n",
		"question: reconciliation":                "string,time,string,integer,integer,string\nservice_id,hour,metric,delivered,upstream,verdict\n1001,2026-02-01T10:00:00Z,hits,10,10,match\n",
	} {
		r, err := sides.Ask(t.Context(), sourceOf(t, "name: a", entry))
		require.NoError(t, err, entry)
		assert.Equal(t, want, written(t, r.Table), entry)
	}
	late := sourceOf(t, "name: a", "question: deliveries", "since: yesterday", "until: today")
	late.Since = "2999-01-01" // a range that was fine when the file was read
	_, err := sides.Ask(t.Context(), late)
	assert.ErrorIs(t, err, errBackwards)
	_, err = sides.Ask(t.Context(), sourceOf(t, "name: a", "question: accounts"))
	assert.ErrorIs(t, err, errNoPortal)
	_, err = (&Sides{}).Ask(t.Context(), sourceOf(t, "name: a", "question: deliveries"))
	assert.ErrorIs(t, err, errNoLedger)
	_, err = (&Sides{Ledger: books(t)}).Ask(t.Context(), sourceOf(t, "name: a", "question: limits", "service: 1001"))
	assert.ErrorIs(t, err, errNoPortal)
}

// sandboxSides asks the sandbox's portal beside the books.
func sandboxSides(t testing.TB) Sides {
	t.Helper()
	server := httptest.NewServer(sandbox.New(sandbox.Options{}))
	t.Cleanup(server.Close)
	c, err := portal.New(portal.Options{URL: server.URL, Token: sandbox.AccessToken, PerSecond: 10_000, Timeout: 5 * time.Second})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	names := func(a threescale.Application) string { return a.UserKey }
	return Sides{Ledger: books(t), ThreeScale: Portal(c, names, func(_, name string) string { return name }), Plans: c.Plans, Limits: c.Limits, Metrics: c.Metrics}
}

// TestPortal: the questions of the catalogue, answered by the sandbox's portal.
func TestPortal(t *testing.T) {
	sides := sandboxSides(t)
	for _, question := range []string{
		"accounts", "services", "applications", "applications\n    service: 1001", "metrics\n    service: 1001", "limits\n    service: 1001",
		"service_usage\n    service: 1001\n    metric: hits", "application_usage\n    service: 1001\n    application: app1\n    metric: hits",
		"usage_by_application\n    service: 1001\n    metric: hits", "top_applications\n    service: 1001\n    metric: hits", "limit_utilisation\n    service: 1001",
		"service_usage\n    service: 1001\n    metric: hits\n    timezone: America/New_York\n    by: hour\n    since: now-2d/d",
	} {
		r, err := sides.Ask(t.Context(), sourceOf(t, "name: a", "from: 3scale", "question: "+question))
		require.NoError(t, err, question)
		assert.NotEmpty(t, r.Columns, question)
		text := written(t, r.Table)
		t.Logf("%s\n%.600s", question, text)
		assert.NotContains(t, text, "ukey", "no user key")
	}
	both, err := sides.Ask(t.Context(), sourceOf(t, "name: a", "from: both", "question: service_usage", "service: 1001", "metric: hits", "since: 2026-02-01", "until: 2026-02-01"))
	require.NoError(t, err)
	assert.Equal(t, "time,integer,integer,integer\ntime,value_ledger,value_3scale,value_difference\n2026-02-01T00:00:00Z,360,0,360\n", written(t, both.Table))

	stock := sourceOf(t, "name: a", "from: 3scale", "path: /stats/services/1001/usage.json?metric_name=hits&since={date.add(-30).format()}&period=month&granularity=day")
	r, err := sides.Ask(t.Context(), stock)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, len(r.Rows), 28)
	_, err = sides.Ask(t.Context(), sourceOf(t, "name: a", "from: 3scale", "question: service_usage", "service: 4711", "metric: hits"))
	assert.Equal(t, portal.FaultNotFound, portal.FaultOf(err))
	_, err = sides.Ask(t.Context(), sourceOf(t, "name: a", "from: 3scale", "question: application_usage", "service: 1001", "application: nosuch", "metric: hits"))
	assert.ErrorContains(t, err, `application "nosuch"`)
}
