package portal

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Fault is what is wrong with an answer, or why there is none.
type Fault string

// The faults, in words that stand in messages.
const (
	FaultName       Fault = "its name cannot be resolved"
	FaultReach      Fault = "it cannot be reached"
	FaultTLS        Fault = "its certificate is not trusted"
	FaultTime       Fault = "it does not answer in time"
	FaultHost       Fault = "it is no admin portal"
	FaultToken      Fault = "it does not know the access token"
	FaultScope      Fault = "the access token may not do this"
	FaultSuspended  Fault = "the account is suspended"
	FaultNotFound   Fault = "it does not know what was asked for"
	FaultRequest    Fault = "it refuses the question"
	FaultRate       Fault = "it is asked too often"
	FaultServer     Fault = "it fails"
	FaultUnexpected Fault = "its answer is not the one to this question"
)

// Error is an answer that is none.
type Error struct {
	Fault  Fault
	Status int    // 0: no answer
	Text   string // what it said, shortened
	Path   string // what was asked for, without its parameters
	Err    error  // of the network

	RetryAfter time.Duration // how long the portal asks to be left alone; 0: it does not say
}

func (e *Error) Error() string {
	text := "portal: " + string(e.Fault)
	if e.Status != 0 {
		text += fmt.Sprintf(" (%d %s", e.Status, e.Path)
		if e.Text != "" {
			text += ": " + e.Text
		}
		text += ")"
	} else if e.Text != "" {
		text += ": " + e.Text
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// Is lets errors.Is compare with a Fault's sentinel.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Status == 0 && other.Fault == e.Fault
}

// FaultOf returns the fault of an error of this package; empty: it is none.
func FaultOf(err error) Fault {
	var e *Error
	if errors.As(err, &e) {
		return e.Fault
	}
	return ""
}

// mostExcerpt bounds what of an answer stands in an error.
const mostExcerpt = 200

// refusal is the error of an answer that is not 200.
func refusal(path string, answer *http.Response, body []byte) *Error {
	e := &Error{Status: answer.StatusCode, Path: path, Text: said(answer, body), Fault: FaultServer}
	switch {
	case answer.StatusCode == http.StatusForbidden && strings.Contains(e.Text, "permission"):
		e.Fault = FaultScope
	case answer.StatusCode == http.StatusForbidden && len(body) == 0:
		e.Fault = FaultSuspended
	case answer.StatusCode == http.StatusForbidden, answer.StatusCode == http.StatusUnauthorized:
		e.Fault = FaultToken
	case answer.StatusCode == http.StatusNotFound && !isJSON(answer):
		e.Fault = FaultHost
	case answer.StatusCode == http.StatusNotFound:
		e.Fault = FaultNotFound
	case answer.StatusCode == http.StatusTooManyRequests:
		e.Fault = FaultRate
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		e.Fault = FaultHost // the developer portal sends people elsewhere
	case answer.StatusCode < 500:
		e.Fault = FaultRequest
	}
	return e
}

func isJSON(answer *http.Response) bool {
	return strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json")
}

// said is the sentence of an error body, which may be JSON, XML, text, a page, or nothing.
func said(answer *http.Response, body []byte) string {
	var known struct{ Error, Status string }
	if json.Unmarshal(body, &known) == nil && known.Error+known.Status != "" {
		return excerpt(known.Error + known.Status)
	}
	if strings.Contains(answer.Header.Get("Content-Type"), "html") {
		return "a page for people"
	}
	return excerpt(string(body))
}

func excerpt(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > mostExcerpt {
		text = text[:mostExcerpt] + "…"
	}
	return text
}

// unreachable is the error of a call without an answer.
func unreachable(path string, err error) *Error {
	e := &Error{Fault: FaultReach, Path: path, Err: bare(err)}
	var (
		name      *net.DNSError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &name):
		e.Fault = FaultName
	case errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid), errors.As(err, &record):
		e.Fault = FaultTLS
	case errors.Is(err, context.DeadlineExceeded):
		e.Fault = FaultTime
	}
	return e
}

// retryAfter is how long an answer asks to be left alone; zero: it does not.
func retryAfter(answer *http.Response, now time.Time) time.Duration {
	text := answer.Header.Get("Retry-After")
	if seconds, err := time.ParseDuration(text + "s"); err == nil && seconds >= 0 {
		return seconds
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
