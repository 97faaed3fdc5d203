package gate

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/reporterd/reporterd/threescale"
)

// The places of credentials, as 3scale names them.
const (
	inQuery         = "query"
	inHeaders       = "headers"
	inAuthorization = "authorization" // HTTP Basic: app_id:app_key, or user_key with any password; a Bearer token of one word is either
)

// Credentials say where a service's callers put what they are known by. Names are those of query parameters or header fields.
type Credentials struct {
	In                     string
	UserKey, AppID, AppKey string // UserKey, or AppID and perhaps AppKey
}

// shown is what a caller showed.
type shown struct {
	application threescale.Application
	appKey      string
	hasKey      bool
}

// find returns the credentials of a call; false: there are none, or they are incomplete.
func (c *Credentials) find(q *Question, t *target) (s shown, ok bool) {
	switch c.In {
	case inAuthorization:
		return c.basic(q)
	case inHeaders:
		return c.named(func(name string) (string, bool) {
			return headerValue(q.Header, name)
		})
	}
	return c.named(t.parameter)
}

// headerValue returns the value of a field that is there once. As in nginx, - and _ in its name are the same: where both are there, it
// is twice there.
func headerValue(h http.Header, name string) (string, bool) {
	dashed := h.Values(strings.ReplaceAll(name, "_", "-"))
	var scored []string
	if other := strings.ReplaceAll(name, "-", "_"); other != name || strings.Contains(name, "_") {
		scored = h.Values(other)
	}
	if len(dashed)+len(scored) != 1 {
		return "", false
	}
	return append(slices.Clone(dashed), scored...)[0], true
}

// named looks credentials up by their names.
func (c *Credentials) named(get func(string) (string, bool)) (s shown, ok bool) {
	if c.UserKey != "" {
		s.application.UserKey, ok = get(c.UserKey)
		return s, ok && s.application.UserKey != ""
	}
	if s.application.ID, ok = get(c.AppID); !ok || s.application.ID == "" {
		return s, false
	}
	if c.AppKey != "" {
		s.appKey, s.hasKey = get(c.AppKey)
	}
	return s, true
}

// basic reads HTTP Basic.
func (c *Credentials) basic(q *Question) (s shown, ok bool) {
	values := q.Header["Authorization"]
	if len(values) != 1 {
		return s, false
	}
	kind, text, _ := strings.Cut(values[0], " ")
	if token := strings.TrimSpace(text); strings.EqualFold(kind, "Bearer") { // as APIcast does
		s.application.ID = token
		if c.UserKey != "" {
			s.application = threescale.Application{UserKey: token}
		}
		return s, token != ""
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || !strings.EqualFold(kind, "Basic") {
		return s, false
	}
	user, password, _ := strings.Cut(string(decoded), ":")
	if user == "" {
		user, password = password, ""
	}
	if c.UserKey != "" {
		s.application.UserKey = user
		return s, user != ""
	}
	s.application.ID, s.appKey, s.hasKey = user, password, password != ""
	return s, user != ""
}
