package authorize

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// errUnavailable says that the backend could not be asked, or gave no answer of its own.
var errUnavailable = errors.New("authorize: no answer from the backend")

// flight is one question on its way; any number of calls wait for its answer.
type flight struct {
	done    chan struct{} // closed when it is over; then what follows may be read
	err     error         // errUnavailable, or nil
	refused *threescale.Error
}

// flights are the questions on their way, one for a key at most.
type flights struct {
	mu    sync.Mutex // guards byKey
	byKey map[digest]*flight
}

// join returns the flight of a key, and whether it is new: then the caller has to start it.
func (f *flights) join(k digest) (fl *flight, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl = f.byKey[k]; fl != nil {
		return fl, false
	}
	fl = &flight{done: make(chan struct{})}
	f.byKey[k] = fl
	return fl, true
}

func (f *flights) land(k digest, fl *flight) {
	f.mu.Lock()
	if f.byKey[k] == fl {
		delete(f.byKey, k)
	}
	f.mu.Unlock()
	close(fl.done)
}

// ask returns the flight of a call, begun if there was none: nil if the backend is not to be asked now.
// The question has a context of its own, which Options.Timeout ends: the call that asked first may be cancelled, and the calls
// that wait still get the answer. A call that asks alone shares no flight: where many calls name wrong metrics at once, the
// answer to one call says nothing about the metric of another.
//
// seen is the answer that the caller has looked at, nil if there was none. If it is another one by now, the answer to an earlier
// flight has come in between: then nothing is asked, and the caller looks again.
func (a *Authorizer) ask(c *call, alone bool, seen *entry) *flight {
	fl, first := &flight{done: make(chan struct{})}, true
	if !alone {
		fl, first = a.flights.join(c.key)
	}
	switch {
	case !first:
		return fl
	case !alone && a.remembered(c) != seen:
		a.flights.land(c.key, fl)
		return fl
	}
	name := c.service()
	i := &inquiry{Authorizer: a, flight: fl, service: a.quota.Service(name), breaker: a.breakers.of(name.Key()), call: *c, begun: time.Now()}
	i.call.asked = nil
	i.metrics = i.unsettled(c, i.begun)
	i.question = i.call.question(i.metrics)
	if a.quota.Unresolved(c.name()) {
		i.question.Options.ListAppKeys = true
	}
	switch {
	case len(i.question.AppendQuery(nil)) > threescale.MaxQuery:
		fl.refused = tooLong()
	case !i.breaker.allow(i.begun):
		fl.err = errUnavailable
	default:
		go i.run() // ended by Options.Timeout
		return fl
	}
	a.flights.land(c.key, fl)
	return fl
}

// wait returns once the flight is over or ctx ends.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
