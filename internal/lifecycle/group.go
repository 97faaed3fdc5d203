// Package lifecycle runs the parts of a program: it starts them in order, stops them in the reverse order, and reports when one
// of them has failed.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Group is a set of running parts. Its zero value is ready for use, and its methods may be called concurrently.
type Group struct {
	mu     sync.Mutex // guards parts and failed
	parts  []*Part
	failed chan error
}

// Go starts a part. run returns once ctx has ended; the error of a run that returns earlier is the group's failure.
func (g *Group) Go(name string, run func(ctx context.Context) error) {
	p := Start(func(ctx context.Context) error {
		err := run(ctx)
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%s: %w", name, err)
			select {
			case g.failure() <- err:
			default: // the first failure is enough
			}
		}
		return err
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.parts = append(g.parts, p)
}

// Failed returns a channel that receives the error of the first part that ended by itself.
func (g *Group) Failed() <-chan error { return g.failure() }

func (g *Group) failure() chan error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed == nil {
		g.failed = make(chan error, 1)
	}
	return g.failed
}

// Stop stops the parts one by one, the last one started first, and returns once all have returned. When ctx ends earlier, the
// contexts of the remaining parts are cancelled, and Stop does not wait for them. The errors are those of the parts, and that of
// ctx.
func (g *Group) Stop(ctx context.Context) error {
	g.mu.Lock()
	parts := g.parts
	g.parts = nil
	g.mu.Unlock()
	var all []error
	for i := len(parts) - 1; i >= 0; i-- {
		all = append(all, parts[i].Stop(ctx))
	}
	return errors.Join(all...)
}

// Part is one running function.
type Part struct {
	end  context.CancelFunc
	done chan error // receives the result of the function
}

// Start runs a function in a goroutine, until End or Stop.
func Start(run func(ctx context.Context) error) *Part {
	ctx, end := context.WithCancel(context.Background())
	p := &Part{end: end, done: make(chan error, 1)}
	go func() { p.done <- run(ctx) }() // ends after its context has ended
	return p
}

// End cancels the part's context, and does not wait. On a nil part it does nothing.
func (p *Part) End() {
	if p != nil {
		p.end()
	}
}

// Stop cancels the part's context, and returns the function's error, or ctx's error if ctx ends first. It may be called once. On
// a nil part it does nothing.
func (p *Part) Stop(ctx context.Context) error {
	if p == nil {
		return nil
	}
	p.end()
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
