package traffic

import (
	"net/http"
	"time"

	"go.uber.org/zap"
)

const (
	// headerTimeout and readTimeout bound how long a client may take to send the head of a request, and all of it. The
	// backend, too, waits 30 s for a body, and then answers 408.
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second

	// idleTimeout is how long a connection may be idle between requests. It is longer than the backend's 20 s: a client that
	// reuses a connection at the moment when it is closed cannot know whether its POST counted.
	idleTimeout = 2 * time.Minute

	// maxHeader is large enough for the Go client's reports, which are in the query string. The backend itself resets the
	// connection above 10 KiB (recording oversized-requests).
	maxHeader = 1 << 20
)

// NewServer returns a server for the traffic listener with limits on time and size of what clients send.
// It speaks HTTP/1 only, also over TLS: the PHP client cannot read the status line of HTTP/2. net/http's own messages, such as
// failed TLS handshakes, are logged at debug level.
func NewServer(h http.Handler, log *zap.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	errors, err := zap.NewStdLogAt(log, zap.DebugLevel)
	if err != nil {
		panic("traffic: " + err.Error()) // only for a level that does not exist
	}
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		Protocols:         protocols,
		ErrorLog:          errors,
	}
}
