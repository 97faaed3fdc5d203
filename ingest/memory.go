package ingest

import (
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// maxMemory is how many bytes of request bodies may be in memory at once, over all requests. A request that
	// would exceed it is answered with 503, so that a hundred clients with large bodies do not exhaust the memory.
	maxMemory = 64 << 20

	// reportWeight is how many bytes of memory one byte of a report takes, compared with one byte of events: a
	// report is read into a tree of parameters first.
	reportWeight = 8

	// busyRetry is the Retry-After of that 503.
	busyRetry = time.Second
)

// memoryBudget is what is left of maxMemory.
type memoryBudget struct{ left atomic.Int64 }

// reserve takes n bytes out of the budget, if there are as many left.
func (m *memoryBudget) reserve(n int) error {
	if m.left.Add(-int64(n)) >= 0 {
		return nil
	}
	m.left.Add(int64(n))
	return &bodyError{http.StatusServiceUnavailable, "too many large requests at once"}
}

// release puts n bytes back.
func (m *memoryBudget) release(n int) { m.left.Add(int64(n)) }
