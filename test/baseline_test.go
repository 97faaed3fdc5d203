package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The baselines: what a Go HTTP server costs before it does anything of use.
const (
	bareHandler  = "bare"  // reads the body and answers 202
	jsonHandler  = "json"  // decodes the events with encoding/json, too; keeps nothing
	allowHandler = "allow" // a backend that takes every report and knows every application, after delayVariable
	sameHandler  = "same"  // answers a GET with the bytes it was given in bodyVariable, and an authorization's headers; a POST as bareHandler
)

// acknowledgement is the answer of the baselines, as long as the daemon's.
const acknowledgement = `{"accepted":100,"duplicates":0}`

// serveBaseline is the whole of a baseline process. It returns why it ended.
func serveBaseline(role string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, `{"msg":"listening","listener":"traffic","address":%q}`+"\n", l.Addr())
	handler := map[string]http.HandlerFunc{bareHandler: serveBare, jsonHandler: serveJSON, allowHandler: serveAllow(), sameHandler: serveSame()}[role]
	return http.Serve(l, handler)
}

// serveBare does the least that a handler can do and still have received the request.
func serveBare(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	acknowledge(w)
}

// serveJSON does what a straightforward handler would: decode into a struct, and no more.
func serveJSON(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var events []event
	if err := json.Unmarshal(body, &events); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	acknowledge(w)
}

// bodyVariable holds what sameHandler answers.
const bodyVariable = "REPORTERD_TEST_BODY"

// serveSame does the least that a handler can do to send an authorization.
func serveSame() http.HandlerFunc {
	body := []byte(os.Getenv(bodyVariable))
	length := strconv.Itoa(len(body))
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			serveBare(w, r)
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "ETag, Link, 3scale-rejection-reason")
		h.Set("Content-Security-Policy", "default-src 'self'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Type", "application/vnd.3scale-v2.0+xml")
		h.Set("Content-Length", length)
		_, _ = w.Write(body)
	}
}

// delayVariable holds how long allowHandler takes for an answer.
const delayVariable = "REPORTERD_TEST_DELAY"

// serveAllow answers as a backend that knows every application and metric, and counts nothing.
func serveAllow() http.HandlerFunc {
	const allowed = `<?xml version="1.0" encoding="UTF-8"?><status><authorized>true</authorized><plan>Basic</plan></status>`
	delay, _ := time.ParseDuration(os.Getenv(delayVariable)) // none: at once
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if delay > 0 {
			<-time.After(delay)
		}
		w.Header().Set("Content-Type", "application/vnd.3scale-v2.0+xml")
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		_, _ = io.WriteString(w, allowed)
	}
}

func acknowledge(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, acknowledgement)
}

// baseline starts this test binary again as a baseline server.
func baseline(t testing.TB, role string, env ...string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), roleVariable+"="+role), env...)
	return start(t, cmd)
}
