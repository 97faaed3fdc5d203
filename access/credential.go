package access

import (
	"net/http"
	"strings"
)

// Bearer returns the token of a request's Authorization header; empty when there is none.
func Bearer(r *http.Request) string {
	for _, text := range r.Header["Authorization"] {
		if len(text) > 7 && strings.EqualFold(text[:7], "Bearer ") {
			return strings.TrimSpace(text[7:])
		}
	}
	return ""
}

// Presented returns a request's token in any form that 3scale's own APIs take: a bearer token, the parameter access_token, or
// Basic with the token as the password, or as the user without a password.
func Presented(r *http.Request) string {
	if token := Bearer(r); token != "" {
		return token
	}
	if user, password, ok := r.BasicAuth(); ok {
		if password == "" {
			return user
		}
		return password
	}
	return r.URL.Query().Get("access_token")
}
