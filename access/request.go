package access

import (
	"crypto/rand"
	"net/http"
	"strings"
)

// RequestHeader is the header with a request's id, in requests and in answers.
const RequestHeader = "X-Request-Id"

// maxRequestID bounds an id that a caller sends, in bytes.
const maxRequestID = 128

// RequestID returns the header X-Request-ID of a request, where that is 1 to 128 letters, digits and -._:/+=, which are harmless
// in logs and pages; otherwise a new random id.
func RequestID(r *http.Request) string {
	id := r.Header.Get(RequestHeader)
	if id == "" || len(id) > maxRequestID || strings.ContainsFunc(id, notAllowed) {
		return rand.Text()
	}
	return id
}

func notAllowed(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._:/+=", c)
}
