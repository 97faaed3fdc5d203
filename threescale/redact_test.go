package threescale

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"testing"

	"github.com/stretchr/testify/assert"
)

var discard = log.New(io.Discard, "", 0)

func TestErrorsRepeatNoSecret(t *testing.T) {
	const secret = `S3"cr"et`
	for _, e := range []*Error{
		ServiceTokenInvalid(secret, "1001"), ProviderKeyInvalid(secret), ProviderKeyInvalidOrServiceMissing(secret),
		UserKeyInvalid(secret), {Status: 409, Code: CodeApplicationKeyInvalid, Text: `application key "` + secret + `" is invalid`},
		{Status: 403, Code: "invented_later", Text: `access token "` + secret + `" has expired`},
		{Status: 403, Code: "invented_later", Text: `the key "` + secret},
	} {
		assert.NotContains(t, e.Error(), "cr", e.Code)
		assert.Contains(t, e.Error(), "[redacted]", e.Code)
		assert.Contains(t, string(e.AppendXML(nil)), secret, "the caller gets the backend's own text")
	}
	assert.Equal(t, `403 service_token_invalid: service token "[redacted]" or service id "1001" is invalid`,
		ServiceTokenInvalid("t", "1001").Error())
}

func TestErrorsNameWhatAnOperatorNeeds(t *testing.T) {
	for want, e := range map[string]*Error{
		`404 application_not_found: application with id="app" was not found`:                                ApplicationNotFound("app"),
		`404 metric_invalid: metric "hits" is invalid`:                                                      MetricInvalid("hits"),
		`403 usage_value_invalid: usage value "-1" for metric "hits" is invalid`:                            UsageValueInvalid("hits", "-1"),
		`403 service_id_invalid: service id "7" is invalid`:                                                 ServiceIDInvalid("7"),
		`500 Internal Server Error`:                                                                         InternalError(),
		`404 Not Found`:                                                                                     NotFound(),
		`400 bad_request`:                                                                                   {Status: 400, Code: CodeBadRequest},
		`403 user_key_invalid: user key is missing`:                                                         UserKeyMissing(),
		`403 authentication_error: either app_id or user_key is allowed, not both`:                          AuthenticationError(),
		`400 bad_request: total number of query parameters (5) exceeds limit (4)`:                           TooManyParams(5, 4),
		`403 usage_value_invalid: usage value for metric "hits" can not be empty`:                           UsageValueEmpty("hits"),
		`422 service_id_missing: Service ID is missing`:                                                     ServiceIDMissing(),
		`400 transactions_has_nil_transaction: transactions has a nil transaction`:                          TransactionsHasNil(),
		`400 transactions_format_invalid: transactions format is invalid`:                                   TransactionsFormatInvalid(),
		`400 content_type_invalid: invalid Content-Type: text/plain`:                                        ContentTypeInvalid("text/plain"),
		`403 transaction_timestamp_too_old: reporting transactions older than 86400 seconds is not allowed`: TimestampTooOld(),
	} {
		assert.EqualError(t, e, want)
	}
}

func TestCredentialsPrintNothing(t *testing.T) {
	c := Credentials{ServiceToken: "sek", ProviderKey: "ret"}
	r := Report{Credentials: c}
	wrapped := fmt.Errorf("x: %v %+v %#v %s %q %d", c, c, c, c, c, c)
	asJSON, err := json.Marshal(r)
	assert.NoError(t, err)
	for _, s := range []string{wrapped.Error(), fmt.Sprintf("%+v %#v", r, r), string(asJSON), errors.Join(wrapped).Error()} {
		assert.NotContains(t, s, "sek")
		assert.NotContains(t, s, "ret")
	}
	assert.Equal(t, "[none]", Credentials{}.String())
}

func TestScrubFindsEveryWayASecretIsWritten(t *testing.T) {
	c := Credentials{ServiceToken: `a<"b&c d`, ProviderKey: "pk"}
	body := `a<"b&c d|a&lt;"b&amp;c d|a&lt;&quot;b&amp;c d|a%3C%22b%26c+d|pk|other`
	assert.Equal(t, "[redacted]|[redacted]|[redacted]|[redacted]|[redacted]|other", string(c.scrub([]byte(body))))
}

func TestUserKeysPrintNothing(t *testing.T) {
	transaction := Transaction{Application: Application{UserKey: "sekret"}}
	assert.NotContains(t, fmt.Sprintf("%v %+v %s", transaction, transaction, transaction.Application), "sekret")
	assert.Equal(t, "app_id app1", Application{ID: "app1"}.String())
}
