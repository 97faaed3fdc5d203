package analytics

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/access"
)

const day = "metric_name=hits&period=day&since=2026-02-01"

// The keys stand in the original's order, and numbers are written as it writes them.
func TestShapes(t *testing.T) {
	values := `"total":148,"values":[10,6,2,9,5,1,8,4,11,7,3,10,6,2,9,5,1,8,4,11,7,3,10,6]`
	head := `{"metric":{"id":2,"name":"Hits","system_name":"hits","unit":"hit"},"period":{"name":"day","since":"2026-02-01T00:00:00Z","until":"2026-02-01T23:59:59Z","timezone":"Etc/UTC","granularity":"hour"},`
	app := `,"application":{"id":11,"name":"My App","state":"live","link":"/p/admin/applications/11","description":null,` +
		`"plan":{"id":7,"name":"Basic"},"account":{"id":5,"name":"ACME","link":"/buyers/accounts/5"},"service":{"id":1}}`
	for target, want := range map[string]string{
		"/stats/services/1/usage.json?" + day:                               head + values + "}",
		"/stats/services/1/usage.json?skip_change=false&" + day:             head + values + `,"previous_total":142,"change":4.225352112676056}`,
		"/stats/applications/11/usage.json?" + day:                          head + values + app + "}",
		"/stats/services/1/usage.json?ledger=dead&skip_change=false&" + day: head + strings.NewReplacer("148", "0").Replace(`"total":148,"values":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]`) + `,"previous_total":0,"change":0.0}`,
		"/stats/services/1/top_applications.json?metric_name=hits&period=week&since=2026-01-15": `{"applications":[` +
			`{"name":"=cmd","id":12,"value":"500","account":{"id":5,"name":"ACME"},"plan":{"id":7,"name":"Basic"},"service":{"id":1}},` +
			`{"name":"My App","id":11,"value":"300","account":{"id":5,"name":"ACME"},"plan":{"id":7,"name":"Basic"},"service":{"id":1}}],` +
			`"metric":{"id":2,"name":"Hits","system_name":"hits","unit":"hit"},"period":{"name":"week","since":"2026-01-12T00:00:00Z","until":"2026-01-18T23:59:59Z"}}`,
		"/stats/services/1/usage.csv?metric_name=hits&granularity=day&since=2026-02-01&until=2026-02-02": "Metric System Name,Metric Name,Date,Value\nhits,Hits,2026-02-01 00:00:00 UTC,148\nhits,Hits,2026-02-02 00:00:00 UTC,143\n",
		"/stats/services/1/usage.xml?metric_name=hits&period=day&granularity=day&since=2026-02-01": xmlHead + "<usage><metric><id>2</id><name>Hits</name><system_name>hits</system_name><unit>hit</unit></metric>" +
			"<period><since>2026-02-01 00:00:00 UTC</since><until>2026-02-01 23:59:59 UTC</until><name>day</name><granularity>day</granularity></period>" +
			`<data><total>148</total><values length="1">148</values></data></usage>` + "\n",
		"/stats/services/1/top_applications.csv?metric_name=hits&period=day&since=2026-01-15": "Application Name,Application ID,Plan Name,Plan ID,Account Name,Account ID,Total\n'=cmd,12,Basic,7,ACME,5,500\nMy App,11,Basic,7,ACME,5,300\n",
		"/admin/api/services.json?per_page=1":                                                 `{"metadata":{"current_page":1,"per_page":1,"total_entries":2,"total_pages":2},"services":[{"service":{"backend_version":"2","id":1,"name":"Orders","state":"incomplete","system_name":"orders"}}]}`,
		"/admin/api/services/1/metrics/2/methods.json":                                        `{"methods":[{"method":{"friendly_name":"Search","id":4,"name":"search","parent_id":2,"system_name":"search","unit":"hit"}}]}`,
		"/admin/api/applications/find.json?service_id=1&user_key=secret":                      `{"application":{"account_id":5,"enabled":true,"id":12,"name":"=cmd","org_name":"ACME","plan_id":7,"plan_name":"Basic","service_id":1,"service_name":"Orders","state":"live"}}`,
		"/admin/api/accounts.json":                                                            `{"accounts":[{"account":{"id":5,"org_name":"ACME","state":"approved"}}]}`,
	} {
		w := get(t, api(), target)
		assert.Equal(t, http.StatusOK, w.Code, target)
		assert.Equal(t, want, w.Body.String(), target)
	}
}

// Zones other than UTC list applications without traffic too, and their values are numbers.
func TestTopInAZone(t *testing.T) {
	w := get(t, api(), "/stats/services/1/top_applications.json?metric_name=hits&period=day&since=2026-01-15&timezone=Madrid&limit=3")
	var got topShape
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Len(t, got.Applications, 3)
	assert.EqualValues(t, 500, got.Applications[0].Value)
	assert.EqualValues(t, 0, got.Applications[2].Value)
	assert.Equal(t, "2026-01-15T00:00:00+01:00", got.Period.Since)
}

func TestRefusals(t *testing.T) {
	for target, want := range map[string]struct {
		status     int
		kind, body string
	}{
		"/stats/services/9/usage.json?" + day:                                       {404, "application/json", `{"error":"Service not found"}`},
		"/stats/applications/99/usage.json?" + day:                                  {404, "application/json", `{"error":"Application not found"}`},
		"/stats/backend_apis/1/usage.json?" + day:                                   {404, "application/json", `{"status":"Not found"}`},
		"/stats/services/1/usage.json?period=day":                                   {400, "text/plain", "Required parameter missing: metric_name"},
		"/stats/services/1/usage.json?metric_name=hits":                             {400, "text/plain", "Required parameter missing: granularity"},
		"/stats/services/1/usage.json?metric_name=hits&granularity=day":             {400, "text/plain", "Required parameter missing: since"},
		"/stats/services/1/usage.json?metric_name=xxxx&period=day":                  {400, "application/json", `{"error":"metric xxxx not found"}`},
		"/stats/services/1/usage.xml?metric_name=x<&period=day":                     {400, "application/xml", xmlHead + "<error>metric x&lt; not found</error>\n"},
		"/stats/services/1/usage.csv?metric_name=x&period=day":                      {400, "text/plain", "metric x not found"},
		"/stats/services/1/usage.foo?" + day:                                        {406, "text/plain", `The server does not understand "foo" request.`},
		"/stats/services/1/usage.json?period=day&metric_name=hits&timezone=Nowhere": {400, "application/json", `{"error":"timezone Nowhere not found"}`},
		"/stats/services/1/usage.json?ledger=upstream&" + day:                       {400, "application/json", `{"error":"ledger must be one of delivered, accepted, pending, dead, ambiguous, not upstream"}`},
		"/admin/api/services/9/metrics.json":                                        {404, "application/json", `{"status":"Not found"}`},
		"/admin/api/services.xml":                                                   {406, "text/plain", `The server does not understand "xml" request.`},
	} {
		w := get(t, api(), target)
		assert.Equal(t, want.status, w.Code, target)
		assert.True(t, strings.HasPrefix(w.Header().Get("Content-Type"), want.kind), target)
		assert.Equal(t, want.body, w.Body.String(), target)
	}
}

// tokens makes a file of an operator's tokens with the scopes, and opens it.
func tokens(t *testing.T) *access.Tokens {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	text := "tokens:\n"
	for token, rest := range map[string]string{
		"stats-token": "scopes: [stats]", "account-token": "scopes: [account_management]", "old-token": "scopes: [stats], expires: 2001-01-01T00:00:00Z",
		"other-token": "scopes: [stats, account_management], services: ['1003']",
	} {
		sum := sha256.Sum256([]byte(token))
		text += "- {name: " + token + ", sha256: " + hex.EncodeToString(sum[:]) + ", " + rest + "}\n"
	}
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	all, err := access.Open(file, access.Operators)
	require.NoError(t, err)
	return all
}

// A token opens what its scope says, in every way the original takes one, and is refused with 403 in its words.
func TestTokens(t *testing.T) {
	a := New(Options{Source: fixture(), Tokens: tokens(t), Now: func() time.Time { return clock }})
	basic := func(user, password string) string {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth(user, password)
		return r.Header.Get("Authorization")
	}
	usage := "/stats/services/1/usage.json?" + day
	for name, tt := range map[string]struct {
		target, authorization string
		status                int
	}{
		"parameter":             {usage + "&access_token=stats-token", "", 200},
		"Basic, as password":    {usage, basic("", "stats-token"), 200},
		"Basic, as user":        {usage, basic("stats-token", "x"), 200},
		"Bearer":                {usage, "Bearer stats-token", 200},
		"none":                  {usage, "", 403},
		"unknown":               {usage + "&access_token=nope", "", 403},
		"expired":               {usage + "&access_token=old-token", "", 403},
		"of another scope":      {usage + "&access_token=account-token", "", 403},
		"account":               {"/admin/api/services.json?access_token=account-token", "", 200},
		"of another service":    {usage + "&access_token=other-token", "", 404},
		"stats for the account": {"/admin/api/services.json?access_token=stats-token", "", 403},
	} {
		w := get(t, a, tt.target, "Authorization", tt.authorization)
		assert.Equal(t, tt.status, w.Code, name)
		if w.Code == 403 {
			sentence := "Access denied"
			if strings.Contains(name, "scope") || strings.Contains(name, "stats for") {
				sentence = "Your access token does not have the correct permissions"
			}
			assert.Equal(t, `{"error":"`+sentence+`"}`, w.Body.String(), name)
		}
	}
	for path, want := range map[string]string{"services.json": "1003", "applications.json": ""} {
		body := get(t, a, "/admin/api/"+path+"?access_token=other-token").Body.String()
		assert.NotContains(t, body, `"Orders"`, path)
		assert.NotContains(t, body, `"My App"`, path)
		assert.Equal(t, want != "", strings.Contains(body, `"id":3`), path)
	}
}

func TestEntityTag(t *testing.T) {
	first := get(t, api(), "/stats/services/1/usage.json?"+day)
	tag := first.Header().Get("ETag")
	require.NotEmpty(t, tag)
	again := get(t, api(), "/stats/services/1/usage.json?"+day, "If-None-Match", `"other", `+tag)
	assert.Equal(t, http.StatusNotModified, again.Code)
	assert.Empty(t, again.Body.String())
	other := get(t, api(), "/stats/services/1/usage.json?metric_name=hits&period=day&since=2026-02-02", "If-None-Match", tag)
	assert.Equal(t, http.StatusOK, other.Code)
}

// Only pages of the origins that are given may read from a browser.
func TestOrigins(t *testing.T) {
	usage := "/stats/services/1/usage.json?" + day
	for name, tt := range map[string]struct {
		origins []string
		allowed bool
	}{"none": {nil, false}, "another": {[]string{"https://b.example"}, false}, "this": {[]string{"https://a.example"}, true}, "all": {[]string{"*"}, true}} {
		a := New(Options{Source: fixture(), Origins: tt.origins, Now: func() time.Time { return clock }})
		w := get(t, a, usage, "Origin", "https://a.example")
		assert.Equal(t, tt.allowed, w.Header().Get("Access-Control-Allow-Origin") == "https://a.example", name)
		assert.Empty(t, w.Header().Get("Access-Control-Allow-Credentials"), name)
	}
	a := New(Options{Source: fixture(), Origins: []string{"https://a.example"}})
	r := httptest.NewRequest(http.MethodOptions, usage, nil)
	r.Header.Set("Origin", "https://a.example")
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	assert.Equal(t, http.StatusNoContent, w.Code)
	assert.Contains(t, w.Header().Get("Access-Control-Allow-Headers"), "Authorization")
}

// What the figures cannot be read for is trouble here, not a fault of the query.
func TestAway(t *testing.T) {
	s := fixture()
	s.Hours = func(context.Context, Question, func(time.Time, int64)) error { return os.ErrClosed }
	w := get(t, New(Options{Source: s}), "/stats/services/1/usage.json?"+day)
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.NotEmpty(t, w.Header().Get("Retry-After"))
	assert.NotContains(t, w.Body.String(), os.ErrClosed.Error())
}
