package sender

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/recording"
)

// roundTrip stands in for the network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// outcome is what the client makes of an answer on the wire.
func outcome(t *testing.T, wire string) Outcome {
	t.Helper()
	c, err := threescale.NewClient(threescale.ClientOptions{
		URL: "http://backend.example",
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			return http.ReadResponse(bufio.NewReader(strings.NewReader(wire)), r)
		}),
	})
	require.NoError(t, err)
	answer, err := c.Report(t.Context(), &threescale.Report{
		ServiceID: "1001", Credentials: threescale.Credentials{ServiceToken: "stoken1001"},
		Transactions: []threescale.Transaction{{Application: threescale.Application{ID: "app1"}}},
	})
	return Outcome{Answer: answer, Err: err}
}

func TestVerdictsOnWhatTheBackendWasSeenToAnswer(t *testing.T) {
	refusals := map[string]Verdict{
		"redis-down-report":                    {Kind: Ambiguous, Code: "server_error"},
		"report-1000-5keys":                    {Kind: Split, Code: "bad_request"},
		"report-5000":                          {Kind: Split, Code: "bad_request"},
		"report-array-form":                    {Kind: Bisect, Code: "transactions_format_invalid"},
		"report-bad-provider-key":              {Kind: Hold, Code: "provider_key_invalid"},
		"report-blank":                         {Kind: Bisect, Code: "transactions_is_blank"},
		"report-body-over-4mib":                {Kind: Split, Code: "bad_request"},
		"report-crlf-separator":                {Kind: Hold, Code: "service_id_missing"},
		"report-depth":                         {Kind: Bisect, Code: "bad_request"},
		"report-empty-provider-key-with-token": {Kind: Hold, Code: "service_token_invalid"},
		"report-gzip":                          {Kind: Hold, Code: "provider_key_or_service_token_required"},
		"report-invalid-percent":               {Kind: Ambiguous, Code: "server_error"},
		"report-invalid-utf8":                  {Kind: Bisect, Code: "not_valid_data"},
		"report-json":                          {Kind: Hold, Code: "content_type_invalid"},
		"report-missing-service-id":            {Kind: Hold, Code: "service_id_missing"},
		"report-nil-transaction":               {Kind: Bisect, Code: "transactions_has_nil_transaction"},
		"report-no-body-ext-error":             {Kind: Hold, Code: "forbidden"},
		"report-no-creds":                      {Kind: Hold, Code: "provider_key_or_service_token_required"},
		"report-string-transaction":            {Kind: Ambiguous, Code: "server_error"},
		"report-token-inside-transaction":      {Kind: Hold, Code: "provider_key_or_service_token_required"},
		"report-usage-string":                  {Kind: Ambiguous, Code: "server_error"},
	}
	list, err := recording.Load("../threescale/testdata/recordings")
	require.NoError(t, err)
	seen := 0
	for _, r := range list {
		if r.Method != http.MethodPost || !strings.HasPrefix(r.Target, "/transactions.xml") {
			continue
		}
		want, refused := refusals[r.Name]
		if !refused {
			want = Verdict{Kind: Delivered, Code: "accepted"}
		} else {
			seen++
		}
		assert.Equal(t, want, Judge(outcome(t, wireOf(r))), r.Name)
	}
	assert.Equal(t, len(refusals), seen, "recordings of refusals")
}

func wireOf(r *recording.Recording) string {
	var s strings.Builder
	fmt.Fprintf(&s, "HTTP/1.1 %d Recorded\r\n", r.Status)
	_ = r.AnswerHeader.Write(&s)
	return s.String() + "\r\n" + string(r.AnswerBody)
}

func TestVerdictsOnWhatStandsInFrontOfTheBackend(t *testing.T) {
	foreign := Verdict{Kind: Ambiguous, Code: "unexpected_answer", Wait: 5 * time.Minute}
	const page = "<html><body><h1>Sorry</h1></body></html>"
	// A page is an answer with an unexpected body.
	html := func(status int, headers ...string) string {
		return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: text/html\r\n%sContent-Length: %d\r\n\r\n%s",
			status, strings.Join(append(headers, ""), "\r\n"), len(page), page)
	}
	empty := func(status int, headers ...string) string {
		return fmt.Sprintf("HTTP/1.1 %d X\r\n%sContent-Length: 0\r\n\r\n", status, strings.Join(append(headers, ""), "\r\n"))
	}
	xml := func(status int, code, text string) string {
		body := `<?xml version="1.0" encoding="UTF-8"?><error code="` + code + `">` + text + `</error>`
		return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	}
	for name, test := range map[string]struct {
		wire string
		want Verdict
	}{
		"accepted with a page":          {html(202), foreign},
		"accepted with an empty page":   {empty(202, "Content-Type: text/html; charset=utf-8\r\n"), foreign},
		"accepted with a word":          {"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok", foreign},
		"accepted with a chunked word":  {"HTTP/1.1 202 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", foreign},
		"accepted, then cut off":        {"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nhalf", foreign},
		"accepted, nothing of 100":      {"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n", foreign},
		"accepted without a type":       {empty(202), Verdict{Kind: Delivered, Code: "accepted"}},
		"accepted, empty chunks":        {"HTTP/1.1 202 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Verdict{Kind: Delivered, Code: "accepted"}},
		"200 from a captive portal":     {html(200), foreign},
		"200 empty":                     {empty(200), foreign},
		"200 told to wait longer":       {html(200, "Retry-After: 400"), Verdict{Kind: Ambiguous, Code: "unexpected_answer", Wait: 400 * time.Second}},
		"204":                           {"HTTP/1.1 204 X\r\n\r\n", foreign},
		"redirect":                      {empty(302, "Location: https://elsewhere.example/"), Verdict{Kind: Hold, Code: "redirect"}},
		"400 page":                      {html(400), Verdict{Kind: Hold, Code: "unexpected_answer"}},
		"400 empty":                     {empty(400), Verdict{Kind: Hold, Code: "unexpected_answer"}},
		"400 with a code, other type":   {xml(400, "bad_request", "no"), Verdict{Kind: Bisect, Code: "bad_request"}},
		"400 above a moved cap":         {xml(400, "bad_request", "total number of query parameters (11) exceeds limit (10)"), Verdict{Kind: Split, Code: "bad_request"}},
		"400 with an unknown code":      {xml(400, "brand_new", "no"), Verdict{Kind: Bisect, Code: "brand_new"}},
		"400 with a code that is none":  {xml(400, "Something went wrong", "no"), Verdict{Kind: Hold, Code: "unexpected_answer"}},
		"400, the error cut off":        {"HTTP/1.1 400 X\r\nContent-Length: 99\r\n\r\n<error code=\"bad_req", Verdict{Kind: Hold, Code: "unexpected_answer"}},
		"401":                           {html(401), Verdict{Kind: Hold, Code: "unexpected_answer"}},
		"403 page of a firewall":        {html(403), Verdict{Kind: Hold, Code: "forbidden"}},
		"403 empty":                     {empty(403), Verdict{Kind: Hold, Code: "forbidden"}},
		"403 about a user key":          {xml(403, "user_key_invalid", "no"), Verdict{Kind: Bisect, Code: "user_key_invalid"}},
		"403 with an unknown code":      {xml(403, "brand_new", "no"), Verdict{Kind: Hold, Code: "forbidden"}},
		"404 of the backend":            {empty(404, "x-cascade: pass"), Verdict{Kind: Hold, Code: "not_found"}},
		"404 page":                      {html(404), Verdict{Kind: Hold, Code: "not_found"}},
		"404 about an application":      {xml(404, "application_not_found", "no"), Verdict{Kind: Bisect, Code: "application_not_found"}},
		"408":                           {empty(408), Verdict{Kind: Retry, Code: "timeout"}},
		"413":                           {html(413), Verdict{Kind: Split, Code: "too_large"}},
		"429 with seconds":              {empty(429, "Retry-After: 120"), Verdict{Kind: Retry, Code: "rate_limited", Wait: 2 * time.Minute}},
		"429 without":                   {html(429), Verdict{Kind: Retry, Code: "rate_limited"}},
		"500 page":                      {html(500), Verdict{Kind: Ambiguous, Code: "server_error"}},
		"502":                           {html(502), Verdict{Kind: Ambiguous, Code: "gateway"}},
		"503 with seconds":              {html(503, "Retry-After: 7"), Verdict{Kind: Retry, Code: "unavailable", Wait: 7 * time.Second}},
		"503 with nonsense":             {html(503, "Retry-After: soon"), Verdict{Kind: Retry, Code: "unavailable"}},
		"503 with a time long ago":      {html(503, "Retry-After: Sat, 21 Nov 2015 19:37:05 GMT"), Verdict{Kind: Retry, Code: "unavailable"}},
		"504 told to wait":              {html(504, "Retry-After: 3"), Verdict{Kind: Ambiguous, Code: "gateway", Wait: 3 * time.Second}},
		"520 of a content network":      {html(520), Verdict{Kind: Ambiguous, Code: "unexpected_answer"}},
		"a status that is not a number": {"HTTP/1.1 xxx\r\n\r\n", Verdict{Kind: Ambiguous, Code: "no_answer"}},
		"nothing":                       {"", Verdict{Kind: Ambiguous, Code: "no_answer"}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, test.want, Judge(outcome(t, test.wire))) })
	}
}

func TestRetryAfterAsADate(t *testing.T) {
	at := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	v := Judge(outcome(t, "HTTP/1.1 503 X\r\nRetry-After: "+at+"\r\nContent-Length: 0\r\n\r\n"))
	assert.Equal(t, Retry, v.Kind)
	assert.InDelta(t, 90, v.Wait.Seconds(), 3)
}

func TestOnlyWhatWasNotWrittenWasNotCounted(t *testing.T) {
	refused := errors.New("connection refused")
	for name, test := range map[string]struct {
		err  error
		want Verdict
	}{
		"not written":       {&threescale.TransportError{Err: refused}, Verdict{Kind: Retry, Code: "connection"}},
		"perhaps written":   {&threescale.TransportError{Written: true, Err: refused}, Verdict{Kind: Ambiguous, Code: "no_answer"}},
		"wrapped":           {fmt.Errorf("report: %w", &threescale.TransportError{Err: refused}), Verdict{Kind: Retry, Code: "connection"}},
		"cancelled":         {context.Canceled, Verdict{Kind: Ambiguous, Code: "no_answer"}},
		"nobody knows what": {nil, Verdict{Kind: Ambiguous, Code: "no_answer"}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, test.want, Judge(Outcome{Err: test.err})) })
	}
}

func TestEveryHeldLaneComesWithAdvice(t *testing.T) {
	for _, code := range []string{
		"no_credentials", "service_token_invalid", "provider_key_invalid", "provider_key_invalid_or_service_missing",
		"service_id_invalid", "service_id_missing", "provider_key_or_service_token_required", "content_type_invalid",
		"not_found", "redirect", "unexpected_answer", "forbidden",
	} {
		assert.NotEmpty(t, advice(code), code)
	}
}
