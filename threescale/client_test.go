package threescale

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newClient(t *testing.T, url string) *Client {
	t.Helper()
	c, err := NewClient(ClientOptions{URL: url, Timeout: 5 * time.Second})
	require.NoError(t, err)
	t.Cleanup(c.CloseIdle)
	return c
}

// answering is a backend that gives one answer to everything.
func answering(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newClient(t, server.URL)
}

func TestReportOnTheWire(t *testing.T) {
	report := goldenReports["full"]
	report.FlatUsage = true
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Date", "Sat, 21 Nov 2026 19:37:05 GMT")
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	answer, err := newClient(t, server.URL+"/prefix/").Report(t.Context(), &report)
	require.NoError(t, err)
	assert.Equal(t, &Answer{Status: 202, Date: time.Date(2026, 11, 21, 19, 37, 5, 0, time.UTC)}, answer)
	assert.Equal(t, "POST /prefix/transactions.xml", got.Method+" "+got.RequestURI)
	assert.Equal(t, string(report.AppendForm(nil)), string(body))
	assert.Equal(t, int64(len(body)), got.ContentLength)
	assert.Equal(t, http.Header{
		"Content-Type":   {"application/x-www-form-urlencoded"},
		"Content-Length": {fmt.Sprint(len(body))},
		"User-Agent":     {"reporterd"},
		"3scale-Options": {"flat_usage=1"},
	}, got.Header, "and nothing else: an Idempotency-Key would make net/http send twice")
}

func TestAnswers(t *testing.T) {
	report := goldenReports["one"]
	long := strings.Repeat("x", maxAnswerBody+1)
	for name, c := range map[string]struct {
		status int
		header map[string]string
		body   string
		want   Answer
	}{
		"accepted": {202, nil, "", Answer{Status: 202}},
		"refused": {
			403, nil, string(ServiceTokenInvalid("stoken1001", "1001").AppendXML(nil)),
			Answer{
				Status: 403, Code: CodeServiceTokenInvalid, Text: `service token "[redacted]" or service id "1001" is invalid`,
				Body: ServiceTokenInvalid("[redacted]", "1001").AppendXML(nil),
			},
		},
		"caps":       {400, nil, string(TooManyBytes(MaxBody).AppendXML(nil)), Answer{Status: 400, Code: CodeBadRequest, Text: "total query size exceeds limit (4194304)", Body: TooManyBytes(MaxBody).AppendXML(nil)}},
		"wrong path": {404, map[string]string{"x-cascade": "pass"}, "", Answer{Status: 404, Cascade: true}},
		"redirect":   {302, map[string]string{"Location": "/elsewhere"}, "", Answer{Status: 302}},
		"wait":       {429, map[string]string{"Retry-After": "7"}, "", Answer{Status: 429, RetryAfter: 7 * time.Second}},
		"in trouble": {500, nil, "Internal Server Error\n", Answer{Status: 500, Body: []byte("Internal Server Error\n")}},
		"long":       {502, nil, long, Answer{Status: 502, Body: []byte(long[1:]), Truncated: true}},
		"echo":       {502, nil, "you sent stoken1001, did you?", Answer{Status: 502, Body: []byte("you sent [redacted], did you?")}},
	} {
		client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"], w.Header()["Date"] = nil, nil
			for k, v := range c.header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		got, err := client.Report(t.Context(), &report)
		require.NoError(t, err, name)
		assert.Equal(t, &c.want, got, name)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 19, 37, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "soon": 0, "1.5": 0,
		"Sat, 21 Nov 2026 19:37:30 GMT": 30 * time.Second, "Sat, 21 Nov 2026 19:36:30 GMT": 0,
		"9223372036854775807": 9223372036 * time.Second, "99999999999999999999": 0,
	} {
		assert.Equal(t, want, parseRetryAfter(header, now), header)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	remotes := map[string]bool{}
	client := answering(t, func(w http.ResponseWriter, r *http.Request) {
		remotes[r.RemoteAddr] = true
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write(CredentialsRequired().AppendXML(nil))
	})
	report := goldenReports["one"]
	for range 5 {
		_, err := client.Report(t.Context(), &report)
		require.NoError(t, err)
	}
	assert.Len(t, remotes, 1)
}

func TestIdleConnectionsAreGivenUpBeforeTheBackendDoes(t *testing.T) {
	transport := newTransport(ClientOptions{}, nil)
	assert.Less(t, transport.IdleConnTimeout, 20*time.Second, "recording keepalive-idle-timeout")
	assert.Positive(t, transport.IdleConnTimeout)
}

func TestAuthorizeOnTheWire(t *testing.T) {
	key, empty := "k&", ""
	var got *http.Request
	client := answering(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("3scale-limit-remaining", "3")
		w.Header().Set("3scale-limit-reset", "60")
		w.Header().Set("3scale-limit-max-value", "10")
		w.Header().Set("3scale-rejection-reason", CodeLimitsExceeded)
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write(recorded(t, "limits-authorize-exceeded").AnswerBody)
	})
	call := &AuthorizeCall{
		ServiceID: "1001", Credentials: Credentials{ServiceToken: "stoken1001"}, Application: Application{ID: "a b"},
		AppKey: &key, RedirectURL: &empty, Referrer: "r", Usage: Usage{{"hits", 0}, {"my metric", 2}}, Code: 200,
		Options: Options{RejectionReasonHeader: true, LimitHeaders: true},
	}
	for path, do := range map[string]func(context.Context, *AuthorizeCall) (*Authorization, error){
		"authorize": client.Authorize, "authrep": client.AuthRep,
		"oauth_authorize": client.OAuthAuthorize, "oauth_authrep": client.OAuthAuthRep,
	} {
		a, err := do(t.Context(), call)
		require.NoError(t, err, path)
		assert.Equal(t, "GET /transactions/"+path+".xml?service_token=stoken1001&service_id=1001&app_id=a+b&app_key=k%26&"+
			"referrer=r&redirect_url=&usage[hits]=0&usage[my+metric]=2&log[code]=200", got.Method+" "+got.RequestURI)
		assert.Equal(t, "rejection_reason_header=1&limit_headers=1", got.Header.Get("3scale-options"))
		assert.Zero(t, got.ContentLength)
		assert.Empty(t, got.TransferEncoding)
		assert.Equal(t, LimitHeaders{Present: true, Remaining: 3, Reset: 60, Max: 10}, a.Limits)
		assert.Equal(t, CodeLimitsExceeded, a.Code)
		require.NotNil(t, a.Verdict)
		assert.False(t, a.Verdict.Authorized)
		assert.Equal(t, "usage limits are exceeded", a.Verdict.Reason)
	}
}

func TestAuthorizeWithATokenThatIsInTheAnswerByChance(t *testing.T) {
	client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(recorded(t, "auth-ok").AnswerBody)
	})
	a, err := client.Authorize(t.Context(), &AuthorizeCall{Credentials: Credentials{ServiceToken: "true"}})
	require.NoError(t, err)
	require.NotNil(t, a.Verdict)
	assert.True(t, a.Verdict.Authorized)
}

func TestAuthorizeThatIsTooLongIsNotSent(t *testing.T) {
	client := newClient(t, "http://127.0.0.1:1")
	_, err := client.Authorize(t.Context(), &AuthorizeCall{Referrer: strings.Repeat("x", MaxQuery)})
	var broken *TransportError
	require.ErrorAs(t, err, &broken)
	assert.False(t, broken.Written)
	assert.ErrorContains(t, err, "threescale: not sent: query string of 10249 bytes")
}

func TestBackendURLs(t *testing.T) {
	for url, complaint := range map[string]string{
		"https://su1.3scale.net": "", "http://127.0.0.1:7072/prefix": "", "": "scheme", "ftp://x": "scheme",
		"http://": "no host", "http://user:secret@x": "credentials", "http://x?y": "query", "http://x#y": "fragment",
		"http://x:secret\x7f": "not a URL",
	} {
		_, err := NewClient(ClientOptions{URL: url})
		if complaint == "" {
			assert.NoError(t, err, url)
			continue
		}
		assert.ErrorContains(t, err, complaint, url)
		assert.NotContains(t, err.Error(), "secret")
	}
}
