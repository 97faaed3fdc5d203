package console

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
)

// audit answers a request that changes something, or would. Its answer contains the request's id, and the log contains the
// request and the status of its answer.
func (c *Console) audit(w http.ResponseWriter, r *http.Request) {
	id := access.RequestID(r)
	w.Header().Set(access.RequestHeader, id)
	answer := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	c.routes.ServeHTTP(answer, r)
	c.options.Log.Info("order", zap.String("request_id", id), zap.String("order", r.Pattern), zap.Int("status", answer.status),
		zap.String("token", answer.caller), zap.String("from", r.RemoteAddr))
}

// auditRefusal logs an order that a browser sent for a page of another site, or that a proxy passed on.
func (c *Console) auditRefusal(r *http.Request) {
	if access.Reads(r) {
		return
	}
	c.options.Log.Warn("order of another site's page or of a proxy refused", zap.String("order", r.Method+" "+r.URL.Path), zap.String("origin", r.Header.Get("Origin")),
		zap.String("from", r.RemoteAddr))
}

// statusWriter records an answer's status.
type statusWriter struct {
	http.ResponseWriter
	status int
	caller string // the name of the token; empty: none was needed, or it is unknown
}

// noteCaller passes the name of the token to audit, if w is its writer.
func noteCaller(w http.ResponseWriter, name string) {
	if answer, ok := w.(*statusWriter); ok {
		answer.caller = name
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
