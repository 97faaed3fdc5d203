package threescale

import (
	"fmt"
	"strconv"
)

// The refusals, worded as the backend words them: programs compare the texts.

func refusal(status int, code, text string) *Error {
	return &Error{Status: status, Code: code, Text: text}
}

// ApplicationNotFound means: no application has this id (recording auth-unknown-app).
func ApplicationNotFound(id string) *Error {
	return refusal(404, CodeApplicationNotFound, `application with id="`+Shortened(id)+`" was not found`)
}

// ApplicationIDMissing means: neither app_id nor user_key (recordings auth-missing-app, report-missing-app).
func ApplicationIDMissing() *Error {
	return refusal(404, CodeApplicationNotFound, "application id is missing")
}

// UserKeyInvalid means: no application has this key (recording auth-userkey-bad).
func UserKeyInvalid(key string) *Error {
	return refusal(403, CodeUserKeyInvalid, `user key "`+Shortened(key)+`" is invalid`)
}

// UserKeyMissing means: the service identifies by user_key only (recording auth-appid-on-userkey-service).
func UserKeyMissing() *Error { return refusal(403, CodeUserKeyInvalid, "user key is missing") }

// AuthenticationError means: both app_id and user_key (recordings auth-app-and-user-key,
// report-app-and-user-key).
func AuthenticationError() *Error {
	return refusal(403, CodeAuthenticationError, "either app_id or user_key is allowed, not both")
}

// MetricInvalid means: the service has no such metric (recordings auth-unknown-metric, report-bad-metric).
func MetricInvalid(metric string) *Error {
	return refusal(404, CodeMetricInvalid, `metric "`+Shortened(metric)+`" is invalid`)
}

// UsageValueInvalid means: not a whole number (recordings auth-negative-usage, report-nonnumeric).
func UsageValueInvalid(metric, value string) *Error {
	return refusal(403, CodeUsageValueInvalid, `usage value "`+Shortened(value)+`" for metric "`+Shortened(metric)+`" is invalid`)
}

// UsageValueEmpty means: no text, or only white space, or something nested (recordings
// auth-empty-usage-value, auth-usage-nested, report-usage-array).
func UsageValueEmpty(metric string) *Error {
	return refusal(403, CodeUsageValueInvalid, `usage value for metric "`+Shortened(metric)+`" can not be empty`)
}

// UsageNotHash means: usage without brackets on a GET call; answered without a body (recording
// auth-usage-not-hash).
func UsageNotHash() *Error { return &Error{Status: 403, Empty: true} }

// CredentialsRequired means: neither provider_key nor service_token (recordings auth-no-credentials,
// report-no-creds).
func CredentialsRequired() *Error {
	return refusal(403, CodeProviderKeyOrServiceTokenRequired, "Provider key or service token are required")
}

// ProviderKeyInvalid means: unknown (recordings auth-bad-provider-key-with-service, report-bad-provider-key).
func ProviderKeyInvalid(key string) *Error {
	return refusal(403, CodeProviderKeyInvalid, `provider key "`+Shortened(key)+`" is invalid`)
}

// ProviderKeyInvalidOrServiceMissing means: without a service id, and unknown or without a default service
// (no recording of it).
func ProviderKeyInvalidOrServiceMissing(key string) *Error {
	return refusal(403, CodeProviderKeyInvalidOrServiceMissing, `provider key "`+Shortened(key)+`" invalid and/or service ID missing`)
}

// ServiceTokenInvalid means: token and service do not belong together (recording auth-bad-token).
func ServiceTokenInvalid(token, serviceID string) *Error {
	return refusal(403, CodeServiceTokenInvalid, `service token "`+Shortened(token)+`" or service id "`+Shortened(serviceID)+`" is invalid`)
}

// ServiceIDInvalid means: not a service of this provider (recording
// auth-provider-key-other-tenants-service).
func ServiceIDInvalid(id string) *Error {
	return refusal(403, CodeServiceIDInvalid, `service id "`+Shortened(id)+`" is invalid`)
}

// ServiceIDMissing means: a token alone (recordings auth-missing-service-id, report-missing-service-id).
func ServiceIDMissing() *Error { return refusal(422, CodeServiceIDMissing, "Service ID is missing") }

// NotValidData means: a name or a value is not UTF-8 (recordings auth-invalid-utf8, report-invalid-utf8).
func NotValidData() *Error { return refusal(422, CodeNotValidData, "all data must be valid UTF8") }

// ContentTypeInvalid means: a report that is no form; mediaType without parameters, in lower case (recording
// report-json).
func ContentTypeInvalid(mediaType string) *Error {
	return refusal(400, CodeContentTypeInvalid, "invalid Content-Type: "+Shortened(mediaType))
}

// TransactionsBlank means: none were sent (recording report-blank).
func TransactionsBlank() *Error {
	return refusal(400, CodeTransactionsIsBlank, "transactions parameter is blank")
}

// TransactionsFormatInvalid means: not a hash (recording report-array-form).
func TransactionsFormatInvalid() *Error {
	return refusal(400, CodeTransactionsFormatInvalid, "transactions format is invalid")
}

// TransactionsHasNil means: one without a value (recording report-nil-transaction).
func TransactionsHasNil() *Error {
	return refusal(400, CodeTransactionsHasNilTransaction, "transactions has a nil transaction")
}

// EndUsersNoLongerSupported means: a user_id was sent (recording auth-user-id).
func EndUsersNoLongerSupported() *Error {
	return refusal(400, CodeEndUsersNoLongerSupported,
		"End-users are no longer supported, do not specify the user_id parameter")
}

// TimestampTooOld means: more than MaxPast ago (recording report-old-25h).
func TimestampTooOld() *Error {
	return refusal(403, CodeTimestampTooOld, fmt.Sprintf(
		"reporting transactions older than %d seconds is not allowed", int(MaxPast.Seconds())))
}

// TimestampTooNew means: more than MaxFuture ahead.
func TimestampTooNew() *Error {
	return refusal(403, CodeTimestampTooNew, fmt.Sprintf(
		"reporting transactions more than %d seconds in the future is not allowed", int(MaxFuture.Seconds())))
}

// TooManyParams means: above the cap of parameters (recordings report-1000-5keys, report-5000).
func TooManyParams(n, limit int) *Error {
	return refusal(400, CodeBadRequest, "total number of query parameters ("+strconv.Itoa(n)+
		") exceeds limit ("+strconv.Itoa(limit)+")")
}

// TooManyBytes means: above the cap of bytes (recording report-body-over-4mib).
func TooManyBytes(limit int64) *Error {
	return refusal(400, CodeBadRequest, "total query size exceeds limit ("+strconv.FormatInt(limit, 10)+")")
}

// NestedTooDeep means: above MaxNesting (recording report-depth).
func NestedTooDeep() *Error {
	return refusal(400, CodeBadRequest, "Rack::QueryParser::QueryLimitError")
}

// PercentInvalid means: a bad percent sequence in a query string (recording auth-invalid-percent). In a POST
// the backend answers InternalError (recording report-invalid-percent).
func PercentInvalid() *Error {
	return refusal(400, CodeBadRequest, "Invalid query parameters: invalid %-encoding")
}

// SyntaxErrors means: an array and a hash under one name (recording auth-usage-array-and-hash).
func SyntaxErrors() *Error {
	return refusal(400, CodeBadRequest,
		"request contains syntax errors, should not be repeated without modification")
}

// InternalError is what the backend answers when it stumbles over a structure, and when its database is
// down, with nothing to tell the two apart (recordings report-string-transaction, redis-down-report).
func InternalError() *Error { return &Error{Status: 500, Text: "Internal Server Error\n"} }

// InternalErrorEmpty is the same without a body: a report that could not even be read (recording
// report-invalid-percent).
func InternalErrorEmpty() *Error { return &Error{Status: 500, Empty: true} }

// TextAndTree means: a string and a structure under one name. The framework answers with a page of its own,
// on a POST followed by a second response on the same connection.
func TextAndTree() *Error { return &Error{Status: 400, HTML: true} }

// QueryTooLong means: the query string is above what the HTTP server reads; it answers in HTTP/1.0, without
// a body, and closes the connection (recording oversized-requests).
func QueryTooLong() *Error { return &Error{Status: 400, Empty: true} }

// NotFound is the answer for a path or method the backend does not have (recordings not-found,
// post-authorize).
func NotFound() *Error { return &Error{Status: 404, Empty: true, Cascade: true} }
