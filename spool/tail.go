package spool

import (
	"context"
	"time"

	"github.com/reporterd/reporterd/event"
)

// Group is what became durable together.
type Group struct {
	First, Last Position // without a gap between them
	Count       int      // Last-First+1
	Accepted    time.Time
}

// Events iterates over the group: for e := range group.Events. The event and its strings are reused:
// they are valid until the next step, and must be copied to be kept. Event.ID is empty, since only its
// hash is on disk.
func (g *Group) Events(yield func(*event.Event) bool) {}

// Tail reads the journal behind the last committed cut, as it grows. It is for one goroutine.
type Tail struct{}

// Tail returns a reader that starts behind the last committed cut. A new one ends the use of the last.
func (s *Spool) Tail() *Tail { return &Tail{} }

// Next returns the next group that is durable, waiting for one until ctx ends. The group is valid until
// the next call. After an error of the disk it may be called again.
func (t *Tail) Next(ctx context.Context) (*Group, error) { <-ctx.Done(); return nil, ctx.Err() }

// Close releases the file under the tail.
func (t *Tail) Close() error { return nil }
