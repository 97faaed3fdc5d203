package portal

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

func TestAddress(t *testing.T) {
	for text, want := range map[string]string{
		"acme":                               "https://acme-admin.3scale.net",
		"acme-admin":                         "https://acme-admin.3scale.net",
		" acme-admin.3scale.net ":            "https://acme-admin.3scale.net",
		"acme.3scale.net":                    "https://acme-admin.3scale.net", // the developer portal
		"https://acme-admin.3scale.net/":     "https://acme-admin.3scale.net",
		"http://localhost:3000":              "http://localhost:3000",
		"3scale-admin.example.com":           "https://3scale-admin.example.com",
		"https://apps.example.com/portal/":   "https://apps.example.com/portal",
		"https://tok@acme-admin.3scale.net":  "https://acme-admin.3scale.net tok",
		"https://:tok@acme-admin.3scale.net": "https://acme-admin.3scale.net tok",
		"127.0.0.1:7072":                     "https://127.0.0.1:7072",
	} {
		base, token, err := Address(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, strings.TrimSpace(base+" "+token), text)
	}
	for text, want := range map[string]string{
		"": "is empty", "ftp://acme": "is no address", "https://acme-admin.3scale.net?access_token=x": "has a query", "https://": "is no address",
		"https://sec%ret@host": "is no address",
	} {
		_, _, err := Address(text)
		require.ErrorContains(t, err, want, text)
		assert.NotContains(t, err.Error(), "ret@", "a token in an address is not repeated")
	}
}

// ask is a client of a handler, in no hurry to be polite.
func ask(t *testing.T, h http.Handler, token string) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c, err := New(Options{URL: server.URL, Token: token, PerSecond: 10_000, Timeout: 5 * time.Second})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func names(a threescale.Application) string { return "key of " + a.UserKey[:2] }

// TestCatalogue: what the sandbox's portal shows, all pages of it, and no key.
func TestCatalogue(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	for i := range 600 {
		r := httptest.NewRequest(http.MethodPut, "/sandbox/applications", strings.NewReader(fmt.Sprintf(`{"service_id":"1001","app_id":"more%d"}`, i)))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
	}
	c := ask(t, s, sandbox.AccessToken)
	services, err := c.Services(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "1001", services[0].ServiceID())
	apps, err := c.Applications(t.Context(), "1001", names)
	require.NoError(t, err)
	assert.Greater(t, len(apps), 600, "more than a page")
	seen := map[string]bool{}
	for _, a := range apps {
		assert.False(t, seen[a.Reported], "%s comes once", a.Reported)
		seen[a.Reported] = true
	}
	assert.True(t, seen["app1"] && seen["more599"])
	keyed, err := c.Applications(t.Context(), "1002", names)
	require.NoError(t, err)
	for _, a := range keyed {
		assert.Regexp(t, "^key of ..$", a.Reported, "a key goes no further")
	}
	metrics, err := c.Metrics(t.Context(), "1001")
	require.NoError(t, err)
	require.NotEmpty(t, metrics)
	byName := map[string]Metric{}
	for _, m := range metrics {
		byName[m.SystemName] = m
	}
	assert.Equal(t, byName["hits"].ID, byName["search"].ParentID)
	plans, err := c.Plans(t.Context(), "1001")
	require.NoError(t, err)
	limits, err := c.Limits(t.Context(), plans[0].ID)
	require.NoError(t, err)
	assert.NotEmpty(t, limits)
	accounts, err := c.Accounts(t.Context())
	require.NoError(t, err)
	assert.NotEmpty(t, accounts)
}

// TestUsage: hours and days that were reported, over ranges longer than one call may be.
func TestUsage(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	now := time.Now().UTC().Truncate(time.Hour)
	body := fmt.Sprintf("service_token=stoken1001&service_id=1001&transactions[0][app_id]=app1&transactions[0][usage][hits]=5&transactions[0][timestamp]=%d"+
		"&transactions[1][app_id]=app2&transactions[1][usage][search]=7&transactions[1][timestamp]=%d", now.Unix(), now.Add(-3*time.Hour).Unix())
	r := httptest.NewRequest(http.MethodPost, "/transactions.xml", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	require.Equal(t, http.StatusAccepted, w.Code, w.Body)
	c := ask(t, s, sandbox.AccessToken)
	sum := func(q Question) (all int64, n int) {
		counts, err := c.Usage(t.Context(), q)
		require.NoError(t, err)
		for i, k := range counts {
			all += k.Value
			assert.Equal(t, q.Since.Add(time.Duration(i)*q.Granularity.step()), k.Time)
		}
		return all, len(counts)
	}
	hits := Question{ServiceID: "1001", Metric: "hits", Granularity: Hours, Since: now.Add(-24 * time.Hour), Until: now.Add(time.Hour)}
	require.Eventually(t, func() bool { all, n := sum(hits); return all == 12 && n == 25 }, 5*time.Second, 10*time.Millisecond, "a method counts for its parent")
	before := c.Calls()
	long := hits
	long.Since = now.Add(-200 * 24 * time.Hour)
	all, n := sum(long)
	assert.EqualValues(t, 12, all)
	assert.Equal(t, 200*24+1, n)
	assert.EqualValues(t, 3, c.Calls()-before, "in parts of 90 days")
	apps, err := c.Applications(t.Context(), "1001", names)
	require.NoError(t, err)
	for _, a := range apps {
		if a.Reported == "app2" {
			one := hits
			one.ApplicationID = a.ID
			all, _ = sum(one)
			assert.EqualValues(t, 7, all)
		}
	}
}

// TestFaults: what is wrong is named for what it is.
func TestFaults(t *testing.T) {
	plain := func(status int, kind, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	}
	const js = "application/json; charset=utf-8"
	for name, c := range map[string]struct {
		h     http.Handler
		token string
		want  Fault
	}{
		"a wrong or expired token":       {sandbox.New(sandbox.Options{}), "nobody", FaultToken},
		"a provider key":                 {sandbox.New(sandbox.Options{}), "pkey", FaultToken},
		"a token without the scope":      {sandbox.New(sandbox.Options{}), sandbox.StatsToken, FaultScope},
		"a suspended account":            {plain(403, "text/plain", ""), "t", FaultSuspended},
		"the backend instead":            {plain(404, "text/plain", ""), "t", FaultHost},
		"the developer portal":           {http.RedirectHandler("/login", http.StatusFound), "t", FaultHost},
		"a page for people":              {plain(200, "text/html", "<html>"), "t", FaultHost},
		"JSON of another API":            {plain(200, js, `{"hello":1}`), "t", FaultUnexpected},
		"something that is gone":         {plain(404, js, `{"status":"Not found"}`), "t", FaultNotFound},
		"a question it does not like":    {plain(400, "text/plain", "Required parameter missing: metric_name"), "t", FaultRequest},
		"an answer that is not about it": {plain(200, js, `{"services":[{"service":[]}]}`), "t", FaultUnexpected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ask(t, c.h, c.token).Services(t.Context())
			assert.Equal(t, c.want, FaultOf(err), "%v", err)
			assert.NotContains(t, err.Error(), c.token+"@")
		})
	}
	c, err := New(Options{URL: "http://127.0.0.1:1", Token: "t", PerSecond: 1000})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = c.Services(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded, "it is tried again until ctx ends")
}

// TestEcho: an answer to another question is no answer.
func TestEcho(t *testing.T) {
	for name, period := range map[string]string{
		"another zone":   `"since":"2026-02-01T00:00:00+01:00","until":"2026-02-01T01:59:59+01:00"`,
		"another range":  `"since":"2026-02-01T00:00:00Z","until":"2026-02-01T00:59:59Z"`,
		"not as many":    `"since":"2026-02-01T00:00:00Z","until":"2026-02-01T01:59:59Z"`,
		"nothing at all": `"since":null`,
	} {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"period":{` + period + `},"total":1,"values":[1]}`))
		})
		at := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
		_, err := ask(t, h, "t").Usage(t.Context(), Question{ServiceID: "1", Metric: "hits", Since: at, Until: at.Add(2 * time.Hour)})
		assert.Equal(t, FaultUnexpected, FaultOf(err), name)
	}
}

// TestBusy: what is refused for a moment is asked again, and no token is in an address.
func TestBusy(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	c := ask(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Empty(t, r.URL.Query().Get("access_token"))
		_, token, _ := r.BasicAuth()
		assert.Equal(t, "secret", token)
		if calls.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"services":[]}`))
	}), "secret")
	begun := time.Now()
	_, err := c.Services(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 2, calls.Load())
	assert.GreaterOrEqual(t, time.Since(begun), time.Second)
}

// TestCheckUp: each thing that is wrong has its own finding, and says what to do.
func TestCheckUp(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	for token, want := range map[string]string{
		sandbox.AccessToken:       "portal account_management services stats clock",
		sandbox.StatsToken:        "portal !account_management stats clock",
		sandbox.AccountToken:      "portal account_management services !stats clock",
		sandbox.MemberToken:       "portal account_management !services stats clock",
		sandbox.UnprivilegedToken: "portal !account_management !stats clock",
		"nobody":                  "!portal",
	} {
		var got []string
		for _, f := range ask(t, s, token).CheckUp(t.Context(), []string{"1001", "1003"}) {
			if f.OK {
				got = append(got, f.Name)
				continue
			}
			got = append(got, "!"+f.Name)
			assert.NotEmpty(t, f.Advice, f.Detail)
		}
		assert.Equal(t, want, strings.Join(got, " "), token)
	}
}
