package ingest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	tokened = `service_token=stoken1001&service_id=1001&`
	usage   = `&transactions[0][usage][hits]=1`
)

// TestReportsRefusedAsTheBackendWould also holds every answer against the safe profile: nothing but
// 400, 403, 404, 413 and 422, each with an <error>.
func TestReportsRefusedAsTheBackendWould(t *testing.T) {
	l := listen(t, Options{Passthrough: true, MaxBody: 2 << 20})
	ago := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(-d).Unix()) }
	for body, want := range map[string]string{
		``:                         `403 provider_key_or_service_token_required: Provider key or service token are required`,
		`service_id=1001`:          `403 provider_key_or_service_token_required: Provider key or service token are required`,
		`service_token=stoken1001`: `422 service_id_missing: Service ID is missing`,
		`service_token=x&service_id=1001&transactions[0][app_id]=A` + usage:   `403 service_token_invalid: service token "x" or service id "1001" is invalid`,
		`provider_key=x&service_id=1002&transactions[0][app_id]=A` + usage:    `403 provider_key_invalid: provider key "x" is invalid`,
		`provider_key=pkey&service_id=1001&transactions[0][app_id]=A` + usage: `403 service_id_invalid: service id "1001" is invalid`,
		tokened + "transactions[0][app_id]=%ff" + usage:                       `422 not_valid_data: all data must be valid UTF8`,
		tokened:                      `400 transactions_is_blank: transactions parameter is blank`,
		tokened + "transactions[]=1": `400 transactions_format_invalid: transactions format is invalid`,
		tokened + "transactions[0]":  `400 transactions_has_nil_transaction: transactions has a nil transaction`,
		tokened + "transactions[0][user_id]=u" + usage:                 `400 end_users_no_longer_supported: End-users are no longer supported, do not specify the user_id parameter`,
		tokened + "transactions[0]=text":                               `400 bad_request: request contains syntax errors, should not be repeated without modification`,
		tokened + "transactions[0][app_id]=A&transactions[0][usage]=1": `400 bad_request: request contains syntax errors, should not be repeated without modification`,
		tokened + "transactions[0][app_id]=A%" + usage:                 `400 bad_request: request contains syntax errors, should not be repeated without modification`,
		tokened + "transactions=1&transactions[0][app_id]=A" + usage:   `400 bad_request: request contains syntax errors, should not be repeated without modification`,
		tokened + usage: `404 application_not_found: application id is missing`,
		tokened + "transactions[0][app_id]=A&transactions[0][user_key]=" + usage:                           `403 authentication_error: either app_id or user_key is allowed, not both`,
		tokened + "transactions[0][app_id]=A&transactions[0][usage][hits]=-1":                              `403 usage_value_invalid: usage value "-1" for metric "hits" is invalid`,
		tokened + "transactions[0][app_id]=A&transactions[0][usage][hits]=%235":                            `403 usage_value_invalid: usage value "#5" for metric "hits" is invalid`,
		tokened + "transactions[0][app_id]=A&transactions[0][usage][hits]=9007199254740992":                `403 usage_value_invalid: usage value "9007199254740992" for metric "hits" is invalid`,
		tokened + "transactions[0][app_id]=A" + usage + "&transactions[0][timestamp]=" + ago(25*time.Hour): `403 transaction_timestamp_too_old: reporting transactions older than 86400 seconds is not allowed`,
		tokened + "transactions[0][app_id]=A" + usage + "&transactions[0][timestamp]=" + ago(-2*time.Hour): `403 transaction_timestamp_too_new: reporting transactions more than 3600 seconds in the future is not allowed`,
		`provider_key=pkey&service_id=1002&transactions[0][app_id]=A&transactions[0][usage][other]=1`:      `404 metric_invalid: metric "other" is invalid`,
		tokened + "transactions[0][app_id]=A" + manyMetricsForm(5000):                                      `413 bad_request: total number of query parameters (5000) exceeds limit (4096)`,
		tokened + strings.Repeat("&", 100_000):                                                             `413 bad_request: total number of query parameters (100003) exceeds limit (100000)`,
		tokened + strings.Repeat("x", 2<<20):                                                               `413 bad_request: total query size exceeds limit (2097152)`,
	} {
		name := body[:min(len(body), 120)]
		reply := l.report(t, body)
		code, text, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(reply.body, `<?xml version="1.0" encoding="UTF-8"?><error code="`), `</error>`), `">`)
		require.True(t, ok, "%s: %s", name, reply.body)
		text = strings.NewReplacer("&quot;", `"`, "&amp;", "&").Replace(text)
		assert.Equal(t, want, fmt.Sprintf("%d %s: %s", reply.StatusCode, code, text), name)
		assert.Equal(t, "application/vnd.3scale-v2.0+xml", reply.Header.Get("Content-Type"))
		assert.Equal(t, fmt.Sprint(len(reply.body)), reply.Header.Get("Content-Length"))
		assert.Empty(t, reply.Header.Get("Content-Security-Policy"), "not on an <error>")
		assert.Empty(t, l.take(), name)
	}
}

func manyMetricsForm(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "&transactions[0][usage][m%d]=1", i)
	}
	return b.String()
}

func TestOneBadTransactionRefusesTheReport(t *testing.T) {
	l := listen(t, Options{})
	reply := l.report(t, tokened+"transactions[0][app_id]=A"+usage+"&transactions[1][app_id]=B&transactions[1][usage][hits]=x")
	assert.Equal(t, 403, reply.StatusCode)
	assert.Empty(t, l.take())
}

func TestNoBodyEmptiesErrors(t *testing.T) {
	l := listen(t, Options{})
	reply := l.send(t, "POST /transactions.xml HTTP/1.1\n3scale-options: no_body=1"+form, "service_id=1001")
	assert.Equal(t, 403, reply.StatusCode)
	assert.Equal(t, "0", reply.Header.Get("Content-Length"))
}

func TestReportIsNoForm(t *testing.T) {
	l := listen(t, Options{})
	reply := l.send(t, "POST /transactions.xml HTTP/1.1\nContent-Type: application/json; charset=utf-8", "{}")
	assert.Equal(t, 400, reply.StatusCode)
	assert.Contains(t, reply.body, `<error code="content_type_invalid">invalid Content-Type: application/json</error>`)
}

func TestReportsOfServicesThatAreNotConfigured(t *testing.T) {
	closed := listen(t, Options{})
	for body, want := range map[string]string{
		`service_token=t&service_id=9&transactions[0][app_id]=A` + usage: "service_token_invalid",
		`provider_key=k&service_id=9&transactions[0][app_id]=A` + usage:  "service_id_invalid",
		`provider_key=k&transactions[0][app_id]=A` + usage:               "provider_key_invalid_or_service_missing",
	} {
		reply := closed.report(t, body)
		assert.Equal(t, 403, reply.StatusCode, body)
		assert.Contains(t, reply.body, want, body)
		assert.Empty(t, closed.take())
	}
	open := listen(t, Options{Passthrough: true})
	huge := "service_token=" + strings.Repeat("t", 5000) + "&service_id=9&transactions[0][app_id]=A" + usage
	assert.Equal(t, 403, open.report(t, huge).StatusCode, "a batch has no room for such a token")
}

func TestServiceBehindADash(t *testing.T) {
	l := listen(t, Options{})
	assert.Equal(t, 202, l.report(t, `provider_key=pkey&service_id=foo-1002&transactions[0][app_id]=A`+usage).StatusCode)
	assert.Equal(t, "1002", l.take()[0].ServiceID)
	assert.Equal(t, 403, l.report(t, `service_token=stoken1001&service_id=foo-1001&transactions[0][app_id]=A`+usage).StatusCode, "not with a token")
}

func TestReloadedServices(t *testing.T) {
	l := listen(t, Options{})
	const body = `service_token=new&service_id=1001&transactions[0][app_id]=A` + usage
	assert.Equal(t, 403, l.report(t, body).StatusCode)
	l.SetServices([]Service{{ID: "1001", Credentials: credentials("new")}})
	assert.Equal(t, 202, l.report(t, body).StatusCode)
	assert.Zero(t, l.take()[0].Credentials, "the configured ones at delivery")
}

func TestReportWithoutRoom(t *testing.T) {
	l := listen(t, Options{})
	l.err = &event.Refused{Full: true, RetryAfter: 1500 * time.Millisecond, Err: errQuota}
	reply := l.report(t, tokened+"transactions[0][app_id]=A"+usage)
	assert.Equal(t, 429, reply.StatusCode)
	assert.Equal(t, "2", reply.Header.Get("Retry-After"))
	assert.Contains(t, reply.body, `<error code="service_unavailable">`)
}
