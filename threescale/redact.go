package threescale

import (
	"bytes"
	"strings"
)

// redacted stands where a token or a key stood.
const redacted = "[redacted]"

// Redact returns the text of an <error>, or the reason of a denial, without the tokens and keys that
// the backend repeats in it. An application id, a service id or a metric's name stays: an operator
// needs them. Texts of unknown codes lose everything that is quoted behind "key" or "token".
func Redact(code, text string) string {
	switch code {
	case CodeServiceTokenInvalid:
		return redactBetween(text, `token "`, `" or service id`)
	case CodeProviderKeyInvalidOrServiceMissing, CodeProviderKeyInvalid, CodeUserKeyInvalid,
		CodeApplicationKeyInvalid:
		return redactBetween(text, `key "`, `"`)
	}
	text = redactBetween(text, `token "`, `"`)
	return redactBetween(text, `key "`, `"`)
}

// redactBetween blanks what lies between the first opening and the last closing mark. Without a
// closing mark the whole rest goes.
func redactBetween(text, opening, closing string) string {
	start := strings.Index(text, opening)
	if start < 0 {
		return text
	}
	start += len(opening)
	end := strings.LastIndex(text[start:], closing)
	if end < 0 {
		return text[:start] + redacted
	}
	return text[:start] + redacted + text[start+end:]
}

// scrub removes the credentials of a call from what came back, as they are and as XML or a form would
// write them, so that an answer can be kept and shown.
func (c Credentials) scrub(body []byte) []byte {
	if len(body) == 0 {
		return nil
	}
	for _, secret := range []string{c.ServiceToken, c.ProviderKey} {
		if secret == "" {
			continue
		}
		for _, form := range [][]byte{
			[]byte(secret), appendXMLText(nil, secret), appendXMLAttribute(nil, secret), appendEscaped(nil, secret),
		} {
			body = bytes.ReplaceAll(body, form, []byte(redacted))
		}
	}
	return body
}
