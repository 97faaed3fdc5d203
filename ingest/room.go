package ingest

import (
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// maxHeld is how many bytes of bodies may be in memory at once, over all requests; who comes on top
	// is told to come back. A hundred clients with large bodies must not get the daemon killed.
	maxHeld = 64 << 20

	// reportWeight is what one byte of a report costs, compared with one of events: it is read into a
	// tree of parameters first.
	reportWeight = 8

	// busyRetry is when to come back.
	busyRetry = time.Second
)

// room is what is left of maxHeld.
type room struct{ left atomic.Int64 }

// take takes n bytes out of the room, if there are as many.
func (r *room) take(n int) error {
	if r.left.Add(-int64(n)) >= 0 {
		return nil
	}
	r.left.Add(int64(n))
	return &bodyError{http.StatusServiceUnavailable, "too many large requests at once"}
}

// give puts n bytes back.
func (r *room) give(n int) { r.left.Add(int64(n)) }
