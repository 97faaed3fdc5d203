// Package event is the one noun that ingest, spool and batcher share: what a producer sent, validated
// and ready to be kept. It has no behaviour of its own.
package event

import (
	"fmt"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Event is one accepted usage event.
type Event struct {
	ServiceID   string
	Credentials threescale.Credentials // zero: those configured for the service when it is delivered
	FlatUsage   bool                   // the caller asked for 3scale-options flat_usage=1
	Duplicate   bool                   // set by the journal: its ID was known, or stands earlier in the same request
	ID          string                 // the producer's id, for deduplication; empty: none
	Source      *Source                // the stream's message that it is of; nil: it came another way. Not changed by a journal

	// Transaction.Timestamp is always set: the producer's, or the moment of acceptance.
	// Usage has no zero values; it may be empty, when there is nothing to report.
	threescale.Transaction
}

// Source is the place of a message in a stream. A journal remembers it without limit of time, in the same commit as the events
// of the message, and takes later deliveries of the same message for duplicates. The events of a message stand behind each
// other and share one Source.
type Source struct {
	Stream   uint64 // identifies the stream, its creation and its consumer
	Sequence uint64 // of the message in the stream, from 1, below 1<<62
	Floor    uint64 // messages up to this sequence were acknowledged: they need not be remembered one by one

	// Next is for a message that is taken in parts, in order: the index of the first event behind this part. 0: no part
	// follows. It is less than 1<<24.
	Next uint32
}

// Refused is the error of a journal that did not take a request: nothing of it was kept.
type Refused struct {
	Full       bool          // no room (quota, free space, memory for ids); otherwise no way to keep it
	RetryAfter time.Duration // when it is worth trying again
	Limit      string        // the key and the value of the limit that was reached, for the client; empty: not a single one
	Err        error         // why, in words for the operator
}

// Error says why, in words for the operator.
func (r *Refused) Error() string {
	if r.Full {
		return fmt.Sprintf("no room: %v", r.Err)
	}
	return fmt.Sprintf("cannot keep events: %v", r.Err)
}

// Unwrap returns the cause.
func (r *Refused) Unwrap() error { return r.Err }

// Partial is the error of a journal that may have taken a part of a request. What is in neither list was not kept.
type Partial struct {
	Kept    []int // indexes of events that are durable, in order
	Unknown []int // of events that may be
	Err     error // why the rest was not taken, in words for the operator
}

// Error says how much was taken, and why not the rest.
func (p *Partial) Error() string {
	return fmt.Sprintf("kept %d events, of %d it is unknown: %v", len(p.Kept), len(p.Unknown), p.Err)
}

// Unwrap returns the cause.
func (p *Partial) Unwrap() error { return p.Err }
