// Package respond writes what HTTP handlers of this machine answer, JSON and problems, and records what a handler that is called without
// a connection answers.
package respond

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// JSON answers with a value. An error of writing means that the client is gone, and is ignored.
func JSON(w http.ResponseWriter, status int, v any) { send(w, status, "application/json", v) }

// Problem answers in the format of RFC 9457. detail must not contain secrets.
func Problem(w http.ResponseWriter, status int, detail string) {
	send(w, status, "application/problem+json", struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{http.StatusText(status), status, detail})
}

func send(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// Recorder is an http.ResponseWriter that keeps the answer. It is for one goroutine.
type Recorder struct {
	Status int // 200 until WriteHeader
	Body   bytes.Buffer
	header http.Header
}

// NewRecorder returns an empty Recorder.
func NewRecorder() *Recorder { return &Recorder{Status: http.StatusOK, header: make(http.Header)} }

// Header implements http.ResponseWriter.
func (r *Recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *Recorder) WriteHeader(status int) { r.Status = status }

// Write implements http.ResponseWriter.
func (r *Recorder) Write(p []byte) (int, error) { return r.Body.Write(p) }
