package analytics

import (
	"fmt"
	"net/http"
)

// Refusal is an error of the API.
type Refusal struct {
	Status   int
	Sentence string
	Key      string // of Sentence in JSON: error, or status
	Plain    bool   // sent as text, also when XML or JSON was asked for
}

func (r *Refusal) Error() string { return fmt.Sprint(r.Status, " ", r.Sentence) }

func refuse(status int, format string, args ...any) error {
	return &Refusal{Status: status, Sentence: fmt.Sprintf(format, args...), Key: "error"}
}

func bad(format string, args ...any) error { return refuse(http.StatusBadRequest, format, args...) }

func notFound() error {
	return &Refusal{Status: http.StatusNotFound, Sentence: "Not found", Key: "status"}
}

// Missing is the refusal of a call without a parameter, which the original sends as text even to who asks for JSON.
func Missing(name string) error {
	return &Refusal{Status: http.StatusBadRequest, Sentence: "Required parameter missing: " + name, Plain: true}
}
