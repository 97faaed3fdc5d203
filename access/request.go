package access

import (
	"crypto/rand"
	"net/http"
	"strings"
)

// RequestHeader is where a request's id is, in requests and in answers.
const RequestHeader = "X-Request-Id"

// maxRequestID bounds an id that a caller made up, in bytes.
const maxRequestID = 128

// RequestID returns what a request calls itself in its header X-Request-ID, where that is 1 to 128 letters, digits and -._:/+=,
// which no log or page misreads; otherwise a new id, unlike any other.
func RequestID(r *http.Request) string {
	id := r.Header.Get(RequestHeader)
	if id == "" || len(id) > maxRequestID || strings.ContainsFunc(id, strange) {
		return rand.Text()
	}
	return id
}

func strange(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._:/+=", c)
}
