package authorize

import (
	"github.com/reporterd/reporterd/threescale"
)

// repeats reports whether the reason of a denial repeats what the call said. Such a reason is not kept,
// since it may hold a key, but made of the call again.
func repeats(code string) bool {
	switch code {
	case threescale.CodeApplicationKeyInvalid, threescale.CodeReferrerNotAllowed,
		threescale.CodeRedirectURLInvalid, threescale.CodeRedirectURIInvalid:
		return true
	}
	return false
}

// words returns the reason of a denial, as the backend words it for this call.
func (e *entry) words(c *call) string {
	switch e.code {
	case threescale.CodeApplicationKeyInvalid:
		if c.appKey.text == "" {
			return "application key is missing"
		}
		return `application key "` + c.appKey.text + `" is invalid`
	case threescale.CodeReferrerNotAllowed:
		if c.referrer == "" {
			return "referrer is missing"
		}
		return `referrer "` + c.referrer + `" is not allowed`
	case threescale.CodeRedirectURLInvalid:
		return `redirect_url "` + c.redirectURL.text + `" is invalid`
	case threescale.CodeRedirectURIInvalid:
		return `redirect_uri "` + c.redirectURI.text + `" is invalid`
	}
	return e.reason
}

// error returns a remembered 403 or 404 as the backend words it for this call: its texts repeat tokens
// and keys, which are not kept.
func (e *entry) error(c *call) *threescale.Error {
	token, key := c.door.credentials.ServiceToken, c.door.credentials.ProviderKey
	var words *threescale.Error
	switch e.code {
	case threescale.CodeApplicationNotFound:
		if words = threescale.ApplicationNotFound(c.application.ID); c.application.ID == "" {
			words = threescale.ApplicationIDMissing()
		}
	case threescale.CodeUserKeyInvalid:
		if words = threescale.UserKeyInvalid(c.application.UserKey); c.application.UserKey == "" {
			words = threescale.UserKeyMissing()
		}
	case threescale.CodeServiceTokenInvalid:
		words = threescale.ServiceTokenInvalid(token, c.door.serviceID)
	case threescale.CodeProviderKeyInvalid:
		words = threescale.ProviderKeyInvalid(key)
	case threescale.CodeProviderKeyInvalidOrServiceMissing:
		words = threescale.ProviderKeyInvalidOrServiceMissing(key)
	case threescale.CodeServiceIDInvalid:
		words = threescale.ServiceIDInvalid(c.door.serviceID)
	default:
		words = &threescale.Error{Code: e.code, Text: e.text}
	}
	words.Status = int(e.status)
	return words
}
