package console

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
)

// audit answers a request that changes something, or would. Its answer has the request's id, and the log says what was asked
// for and how it was answered.
func (c *Console) audit(w http.ResponseWriter, r *http.Request) {
	id := access.RequestID(r)
	w.Header().Set(access.RequestHeader, id)
	answer := &heard{ResponseWriter: w, status: http.StatusOK}
	c.routes.ServeHTTP(answer, r)
	c.options.Log.Info("order", zap.String("request_id", id), zap.String("order", r.Pattern), zap.Int("status", answer.status),
		zap.String("token", answer.caller), zap.String("from", r.RemoteAddr))
}

// heard remembers an answer's status.
type heard struct {
	http.ResponseWriter
	status int
	caller string // the name of the token; empty: none was needed, or it is unknown
}

// noteCaller tells audit the name of the token, where w is its writer.
func noteCaller(w http.ResponseWriter, name string) {
	if answer, ok := w.(*heard); ok {
		answer.caller = name
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *heard) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *heard) Unwrap() http.ResponseWriter { return w.ResponseWriter }
