package sandbox

import (
	"strings"
	"time"
)

// view is what one process of the backend believes about the directory. The real listener and worker
// processes remember each answer for 60 s, each on its own, answers that there is no such thing included
// (recording negative-cache-60s): an application asked for too early stays unknown to a process that
// long after its creation, and one that was deleted stays known. There is one listener and one worker unless a
// Backend says otherwise.
//
// Its owner's mutex guards it.
type view struct {
	directory *directory
	negative  time.Duration // how long absence is remembered; 0: not at all
	positive  time.Duration // how long a record is remembered; 0: not at all
	memories  map[question]memory
}

// maxMemories bounds one view: when it is reached, everything is forgotten.
const maxMemories = 200_000

type kind uint8

const (
	serviceByID kind = iota
	serviceByToken
	applicationByID
	applicationByUserKey
)

type question struct {
	kind          kind
	service, name string
}

// memory is an answer and until when it is believed. A record that is nil says: no such thing.
type memory struct {
	service     *service
	application *application
	until       time.Time
}

func newView(d *directory, negative, positive time.Duration) *view {
	return &view{directory: d, negative: negative, positive: positive, memories: make(map[question]memory)}
}

// forget empties the view.
func (v *view) forget() { clear(v.memories) }

func (v *view) service(id string, now time.Time) *service {
	return v.ask(question{serviceByID, id, ""}, now).service
}

func (v *view) serviceByToken(id, token string, now time.Time) *service {
	return v.ask(question{serviceByToken, id, token}, now).service
}

func (v *view) application(serviceID, id string, now time.Time) *application {
	return v.ask(question{applicationByID, serviceID, id}, now).application
}

func (v *view) applicationByUserKey(serviceID, key string, now time.Time) *application {
	return v.ask(question{applicationByUserKey, serviceID, key}, now).application
}

// ask answers from memory, or from the directory and then remembers.
func (v *view) ask(q question, now time.Time) memory {
	if m, known := v.memories[q]; known && now.Before(m.until) {
		return m
	}
	m := v.look(q)
	life := v.positive
	if m.service == nil && m.application == nil {
		life = v.negative
	}
	if life <= 0 {
		return m
	}
	if len(v.memories) >= maxMemories {
		v.forget()
	}
	m.until = now.Add(life)
	q.service, q.name = strings.Clone(q.service), strings.Clone(q.name) // may be views into a request
	v.memories[q] = m
	return m
}

// metrics are those that the process believes a service to have. What it cannot find is as the listener found it.
func (v *view) metrics(of *service, now time.Time) *hierarchy {
	if known := v.service(of.id, now); known != nil {
		return known.metrics
	}
	return of.metrics
}

func (v *view) look(q question) memory {
	switch q.kind {
	case serviceByID:
		return memory{service: v.directory.service(q.service)}
	case serviceByToken:
		return memory{service: v.directory.serviceByToken(q.service, q.name)}
	case applicationByID:
		return memory{application: v.directory.application(q.service, q.name)}
	default:
		return memory{application: v.directory.applicationByUserKey(q.service, q.name)}
	}
}
