package nats

import (
	"sync"
	"time"

	"github.com/reporterd/reporterd/event"
)

// inFlight holds the stream's messages that were received and not acknowledged, so that their ack_wait can be extended.
type inFlight struct {
	mu  sync.Mutex // guards all
	all map[event.Source]*message
}

// add adds a message. It returns false when a delivery of the same message is there already.
func (h *inFlight) add(m *message) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = make(map[event.Source]*message)
	}
	if h.all[m.place()] != nil {
		return false
	}
	h.all[m.place()] = m
	return true
}

func (h *inFlight) remove(group []*message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range group {
		delete(h.all, m.place())
	}
}

// since returns the messages that arrived before a moment.
func (h *inFlight) since(moment time.Time) (old []*message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.all {
		if m.arrived.Before(moment) {
			old = append(old, m)
		}
	}
	return old
}
