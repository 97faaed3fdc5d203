package sandbox

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

// What backend.md says of denials beyond the recordings. The plain words are the reason's code, or the
// error's; "" is a 200.
func TestValidators(t *testing.T) {
	const (
		plain = "/transactions/authorize.xml?"
		oauth = "/transactions/oauth_authorize.xml?"
		s1    = "service_token=stoken1001&service_id=1001&"
		s2    = "service_token=stoken1002&service_id=1002&"
		s3    = "service_token=stoken1003&service_id=1003&"
		s4    = "service_token=stoken1004&service_id=1004&"
		s5    = "service_token=stoken1005&service_id=1005&"
	)
	for target, code := range map[string]string{
		plain + s1 + "app_id=app1&app_key=%20key1b%20":                                      "", // keys are stripped
		plain + s1 + "app_id=app1":                                                          "application_key_invalid",
		plain + s1 + "app_id=app1&app_key[a]=key1":                                          "application_key_invalid",
		plain + s1 + "app_id=app2&app_key=any":                                              "", // an application without keys takes any
		plain + s1 + "app_id=%20&user_key=x":                                                "application_not_found",
		plain + s1 + "app_id=app2&usage":                                                    "",
		plain + s1 + "app_id=app2&usage[hits]=%235":                                         "",
		plain + s1 + "app_id=applim&usage[hits]=%2311":                                      "limits_exceeded",
		plain + s1 + "app_id=applim&usage[search_deep]=6":                                   "limits_exceeded", // of search, two levels up
		plain + s1 + "app_id=applim&usage[hits]=0":                                          "",
		plain + s1 + "app_id=appsusp&usage[nometric]=1":                                     "application_not_active", // before usage is looked at
		plain + s2 + "app_id=appuk":                                                         "user_key_invalid",
		plain + s2 + "user_key=ukey1":                                                       "",
		plain + s2 + "user_key=ukey1&app_key=any":                                           "",
		plain + s3 + "app_id=appoauth&app_key=okey1":                                        "",
		plain + s3 + "app_id=appoauth&app_key=bad":                                          "application_key_invalid",
		plain + s3 + "app_id=appoauth&app_key=":                                             "application_key_invalid",
		oauth + s3 + "app_id=appoauth&redirect_uri=http://x":                                "redirect_uri_invalid",
		oauth + s3 + "app_id=appoauth&redirect_url=&redirect_uri=http://x":                  "", // redirect_url decides alone
		oauth + s3 + "app_id=appoauth&redirect_uri=http://example.com/cb?a=1%26b=2":         "",
		oauth + s2 + "user_key=ukey1":                                                       "application_not_found",
		oauth + s2 + "app_id=appuk":                                                         "oauth_not_enabled",
		plain + s4 + "app_id=appref&referrer=*":                                             "",
		plain + s5 + "app_id=app1":                                                          "service_not_active",
		plain + "provider_key=otherpkey&app_id=app1":                                        "application_not_found",
		plain + "provider_key=nosuch&app_id=app1":                                           "provider_key_invalid_or_service_missing",
		plain + "provider_key=pkey&service_id=nosuch&app_id=app1":                           "service_id_invalid",
		plain + "provider_key=otherpkey&service_id=1001&app_id=app1":                        "service_id_invalid",
		plain + "provider_key=pkey&service_token=stoken1001&service_id=1002&user_key=ukey1": "",
	} {
		w := ask(atNoon(), http.MethodGet, target, "", threescale.OptionsHeader, "rejection_reason_header=1")
		got := w.Header().Get("3scale-rejection-reason")
		if e, is := threescale.ParseError(w.Body.Bytes()); is {
			got = e.Code
		}
		assert.Equal(t, code, got, "%s: %s", target, w.Body)
		assert.Equal(t, code == "", w.Code == http.StatusOK, target)
	}
}

// The answer of the oauth calls names the redirect as the request did.
func TestOAuthAnswerNamesTheRedirect(t *testing.T) {
	const target = "/transactions/oauth_authorize.xml?service_token=stoken1003&service_id=1003&app_id=appoauth&redirect_uri=x"
	assert.Contains(t, ask(atNoon(), http.MethodGet, target, "").Body.String(), "</redirect_uri></application>")
}

func TestLimitHeadersSayHowManyCallsFit(t *testing.T) {
	for _, c := range []struct {
		call, query      string
		remaining, reset string
	}{
		{"authorize", "app_id=limB&usage[hits]=3", "3", "43170"},
		{"authrep", "app_id=limB&usage[hits]=3", "2", "43170"},
		{"authorize", "app_id=limB&usage[search]=2", "2", "820770"}, // 5 a month before 10 a day
		{"authorize", "app_id=limB&usage[other]=4", "2", "43170"},
		{"authorize", "app_id=limB&usage[transfer]=1", "-1", "-1"},
		{"authorize", "app_id=appnolim&usage[hits]=1", "-1", "-1"},
		{"authorize", "app_id=app2&usage[transfer]=1", "1000000000000", "-1"}, // eternity has no end
	} {
		w := authorize(atNoon(), c.call, c.query, "limit_headers=1")
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, c.remaining, w.Header().Get("3scale-limit-remaining"), "%s %s", c.call, c.query)
		assert.Equal(t, c.reset, w.Header().Get("3scale-limit-reset"), "%s %s", c.call, c.query)
	}
}

// Of two limits that leave the same number of calls, the headers speak of the longer period's.
func TestLimitHeadersPreferTheLongerPeriod(t *testing.T) {
	s := atNoon()
	for _, first := range []string{"hour", "minute"} {
		require.NoError(t, s.PutApplications(ApplicationChange{ServiceID: "1001", AppID: "two", Limits: &[]Limit{
			{Metric: "hits", Period: first, Max: 10}, {Metric: "search", Period: "day", Max: 10},
		}}))
		w := authorize(s, "authorize", "app_id=two&usage[search]=2", "limit_headers=1")
		assert.Equal(t, "5", w.Header().Get("3scale-limit-remaining"))
		assert.Equal(t, "43170", w.Header().Get("3scale-limit-reset"))
	}
}

// A denied authrep shows what is stored, without what it asked for, and counts nothing.
func TestDeniedAuthrepShowsWhatIsStored(t *testing.T) {
	s := atNoon()
	require.Equal(t, http.StatusAccepted, report(s, hitsOf("limB", "9")))
	w := authorize(s, "authrep", "app_id=limB&usage[hits]=2", "")
	assert.Equal(t, http.StatusConflict, w.Code)
	assert.Contains(t, w.Body.String(), "<max_value>10</max_value><current_value>9</current_value>")
	assert.EqualValues(t, 9, counted(t, s, "limB", "hits"))
}

// A limit is exact when each call waits for the worker of the one before, as this stand-in's do.
func TestLimitGrantsExactly(t *testing.T) {
	s := atNoon()
	require.NoError(t, s.PutApplications(ApplicationChange{
		ServiceID: "1001", AppID: "hundred", Limits: &[]Limit{{Metric: "hits", Period: "minute", Max: 100}},
	}))
	var granted atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if authorize(s, "authrep", "app_id=hundred&usage[search]=1", "").Code == http.StatusOK {
					granted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 100, granted.Load())
	assert.EqualValues(t, 100, counted(t, s, "hundred", "hits"))
}

func TestHeadCountsOnAuthrep(t *testing.T) {
	s := atNoon()
	const query = "service_token=stoken1001&service_id=1001&app_id=app2&usage[hits]=2"
	assert.Equal(t, http.StatusOK, ask(s, http.MethodHead, "/transactions/authrep.xml?"+query, "").Code)
	assert.EqualValues(t, 2, counted(t, s, "app2", "hits"))
}

// The HTTP server in front of the real backend reads no longer query strings (recording
// oversized-requests). Its answer is of HTTP/1.0 and closes the connection; net/http can do the latter.
func TestQueryStringCap(t *testing.T) {
	query := func(length int) string {
		q := "service_token=stoken1001&service_id=1001&app_id=app2&pad="
		return q + strings.Repeat("x", length-len(q))
	}
	s := atNoon()
	assert.Equal(t, http.StatusOK, ask(s, http.MethodGet, "/transactions/authorize.xml?"+query(10240), "").Code)
	w := ask(s, http.MethodGet, "/transactions/authorize.xml?"+query(10241), "")
	assert.Equal(t, http.StatusBadRequest, w.Code)
	assert.Equal(t, "close", w.Header().Get("Connection"))
	assert.Empty(t, w.Body.String())
}

func TestPathsAreCleanedAsTheBackendDoes(t *testing.T) {
	for path, status := range map[string]int{
		"//status": 200, "/x/../status": 200, "/./status": 200, "/%73tatus": 200,
		"/status/": 404, "/status/.": 404, "/Status": 404, "/": 404, "/available": 404, "/transactions.xml": 404,
	} {
		assert.Equal(t, status, ask(atNoon(), http.MethodGet, path, "").Code, path)
	}
}
