package ingest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/reporterd/reporterd/internal/memory"
)

const (
	// MaxMemory and LeastMemory bound the bytes of requests that may be in memory at once. reservedPart of them cannot be used by
	// requests of more than 64 KiB. A request that finds no memory is answered with 503; with LeastMemory the largest report still
	// finds enough.
	MaxMemory, LeastMemory = 64 << 20, 32 << 20
	reservedPart           = 4

	// reportWeight is how many bytes of memory one byte of a report takes while it is decoded into a tree of parameters.
	// readWeight is how many while it is being received.
	reportWeight, readWeight = 8, 2

	// decodeWait bounds the wait of a large report for the one before it to be decoded.
	decodeWait = 5 * time.Second

	// busyRetry is the Retry-After of that 503.
	busyRetry = time.Second
)

// NewBudget returns the memory budget of the traffic listener: heads and bodies of requests, of so many bytes within LeastMemory and
// MaxMemory.
func NewBudget(bytes int64) *memory.Budget {
	bytes = min(max(bytes, LeastMemory), MaxMemory)
	return memory.New(bytes, bytes/reservedPart)
}

// errNoMemory is the answer to a request that finds no memory.
var errNoMemory = &bodyError{http.StatusServiceUnavailable, "too many large requests at once"}

const (
	// progressTime is how often a body's progress is checked, and minProgress how many bytes must arrive in that time. A body
	// that holds more memory must progress faster: in progressTime an eighth of what has arrived, or its end.
	progressTime = 5 * time.Second
	minProgress  = 4 << 10
	progressPart = 8
)

// bodyReader reads the body of a request, and ends it with os.ErrDeadlineExceeded when it does not progress. For a body of more
// than memory.Floor bytes it replaces the listener's limit on the time of a whole request, which a client on a slow network exceeds
// with a large body, and which lets another client hold the memory of a body by leaving out its last byte.
type bodyReader struct {
	io.ReadCloser
	writer  http.ResponseWriter // of the request
	length  int64               // of the body, as the request says; below 1: not known
	arrived int64
	missing int64 // bytes that must arrive in this period
	watched bool  // a deadline was set
}

// Read implements io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.arrived > memory.Floor && b.missing <= 0 && b.arrived != b.length { // what has arrived whole is not waited for
		b.missing = max(minProgress, b.arrived/progressPart)
		if err := b.setDeadline(time.Now().Add(progressTime)); err != nil {
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.arrived += int64(n)
	b.missing -= int64(n)
	if err == io.EOF && b.watched {
		_ = b.setDeadline(time.Time{}) // net/http sets the next one with the answer
	}
	return n, err
}

func (b *bodyReader) setDeadline(t time.Time) error {
	b.watched = true
	if err := http.NewResponseController(b.writer).SetReadDeadline(t); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("ingest: read body: %w", err)
	}
	return nil
}
