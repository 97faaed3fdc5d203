package threescale

import (
	"net/http"
	"strconv"
)

// The codes of an <error>, and of a denial's rejection reason, as the backend writes them.
const (
	CodeApplicationKeyInvalid              = "application_key_invalid"
	CodeApplicationNotActive               = "application_not_active"
	CodeApplicationNotFound                = "application_not_found"
	CodeAuthenticationError                = "authentication_error"
	CodeBadRequest                         = "bad_request"
	CodeContentTypeInvalid                 = "content_type_invalid"
	CodeEndUsersNoLongerSupported          = "end_users_no_longer_supported"
	CodeLimitsExceeded                     = "limits_exceeded"
	CodeMetricInvalid                      = "metric_invalid"
	CodeNotValidData                       = "not_valid_data"
	CodeOAuthNotEnabled                    = "oauth_not_enabled"
	CodeProviderKeyInvalid                 = "provider_key_invalid"
	CodeProviderKeyInvalidOrServiceMissing = "provider_key_invalid_or_service_missing"
	CodeProviderKeyOrServiceTokenRequired  = "provider_key_or_service_token_required"
	CodeRedirectURIInvalid                 = "redirect_uri_invalid"
	CodeRedirectURLInvalid                 = "redirect_url_invalid"
	CodeReferrerNotAllowed                 = "referrer_not_allowed"
	CodeServiceIDInvalid                   = "service_id_invalid"
	CodeServiceIDMissing                   = "service_id_missing"
	CodeServiceNotActive                   = "service_not_active"
	CodeServiceTokenInvalid                = "service_token_invalid"
	CodeTimestampTooNew                    = "transaction_timestamp_too_new"
	CodeTimestampTooOld                    = "transaction_timestamp_too_old"
	CodeTransactionsFormatInvalid          = "transactions_format_invalid"
	CodeTransactionsHasNilTransaction      = "transactions_has_nil_transaction"
	CodeTransactionsIsBlank                = "transactions_is_blank"
	CodeUsageValueInvalid                  = "usage_value_invalid"
	CodeUserKeyInvalid                     = "user_key_invalid"
)

// Error is a refusal as the backend words it. The constructors in refusal.go make every one the
// recordings show, with the status the listener answers (for what only the worker finds: the status
// authrep answers for the same).
type Error struct {
	Status  int    // HTTP status
	Code    string // one of the codes, or "" where there is no <error>
	Text    string // as the backend writes it: it may repeat a token or a key; never log it, log Error()
	Empty   bool   // answered without a body, and without an <error>
	HTML    bool   // answered as text/html by the framework, not as XML
	Cascade bool   // with x-cascade: pass: no such path
}

// Error says status, code and text, with every token and key in the text replaced by [redacted].
func (e *Error) Error() string {
	s := strconv.Itoa(e.Status)
	if e.Code == "" {
		return s + " " + http.StatusText(e.Status)
	}
	s += " " + e.Code
	if e.Text == "" {
		return s
	}
	return s + ": " + Redact(e.Code, e.Text)
}

const errorHead = xmlHead + `<error code="`

// AppendXML appends the body of the answer: the <error> document, text escaped as the backend escapes
// it (recording error-escaped). Without a code there is no document, and Text is appended as it is
// (recording report-string-transaction); to an Empty or HTML error nothing is appended.
func (e *Error) AppendXML(dst []byte) []byte {
	if e.Empty || e.HTML {
		return dst
	}
	if e.Code == "" {
		return append(dst, e.Text...)
	}
	dst = append(dst, errorHead...)
	dst = appendXMLAttribute(dst, e.Code)
	dst = append(dst, `">`...)
	dst = appendXMLText(dst, e.Text)
	return append(dst, `</error>`...)
}

// ParseError reads an <error> document. Status is left zero: the document does not say. It reports
// false for anything else, however close.
func ParseError(body []byte) (*Error, bool) {
	s := scanner{rest: string(body)}
	if !s.skipTo("<error") {
		return nil, false
	}
	tag, ok := s.until(">")
	if !ok {
		return nil, false
	}
	code, ok := attribute(tag, "code")
	if !ok || code == "" {
		return nil, false
	}
	text, ok := s.until("</error>")
	if !ok {
		return nil, false
	}
	return &Error{Code: unescapeXML(code), Text: unescapeXML(text)}, true
}
