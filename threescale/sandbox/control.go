package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// maxControlBody bounds what a PUT under /sandbox/ may send: MaxApplications of them fit.
const maxControlBody = 64 << 20

// serveControl answers what lies under /sandbox/.
func (s *Sandbox) serveControl(w http.ResponseWriter, r *http.Request, at string) {
	var v any
	var err error
	switch r.Method + " " + at {
	case "GET /sandbox/usage":
		v, err = s.settled(r, func() any { return s.Usage() })
	case "GET /sandbox/counters":
		v, err = s.settled(r, func() any { return s.Counters(r.FormValue("service_id"), r.FormValue("app_id")) })
	case "GET /sandbox/calls":
		v, err = s.settled(r, func() any { return s.Calls() })
	case "GET /sandbox/errors":
		v, err = s.settled(r, func() any { return map[string]any{"errors": s.Errors()} })
	case "GET /sandbox/faults":
		v = s.Faults()
	case "PUT /sandbox/faults":
		v, err = change(w, r, func(f Faults) error { return s.SetFaults(f) }, s.Faults)
	case "PUT /sandbox/applications":
		v, err = change(w, r, func(c list[ApplicationChange]) error { return s.PutApplications(c...) }, s.figures)
	case "PUT /sandbox/services":
		v, err = change(w, r, func(c list[ServiceChange]) error { return s.PutServices(c...) }, s.figures)
	case "POST /sandbox/reset":
		s.Reset()
		v = map[string]any{}
	default:
		problem(w, http.StatusNotFound, "no such call: "+r.Method+" "+at)
		return
	}
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, "application/json", v)
}

// settled looks once the worker has done what was queued.
func (s *Sandbox) settled(r *http.Request, look func() any) (any, error) {
	if err := s.Settle(r.Context()); err != nil {
		return nil, err
	}
	return look(), nil
}

// list is what a PUT sends: an array, or a single one.
type list[T any] []T

// UnmarshalJSON reads either.
func (l *list[T]) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '[' {
		return strictly(text, (*[]T)(l))
	}
	var one T
	err := strictly(text, &one)
	*l = list[T]{one}
	return err
}

// change decodes a body, applies it and returns what there is afterwards.
func change[T, A any](w http.ResponseWriter, r *http.Request, apply func(T) error, after func() A) (any, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControlBody))
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	var v T
	if err := strictly(body, &v); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("byte %d: %w", syntax.Offset, err)
		}
		return nil, err
	}
	if err := apply(v); err != nil {
		return nil, err
	}
	return after(), nil
}

// problem answers as RFC 9457 describes.
func problem(w http.ResponseWriter, status int, detail string) {
	writeJSON(w, status, "application/problem+json", map[string]any{
		"title": http.StatusText(status), "status": status, "detail": detail,
	})
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
