package nats

import (
	"sync"
	"time"
)

// inFlight holds the stream's messages that were received and not acknowledged, so that their ack_wait can be extended.
type inFlight struct {
	mu  sync.Mutex // guards all
	all map[*message]struct{}
}

func (h *inFlight) add(m *message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = make(map[*message]struct{})
	}
	h.all[m] = struct{}{}
}

func (h *inFlight) remove(group []*message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range group {
		delete(h.all, m)
	}
}

// since returns the messages that arrived before a moment.
func (h *inFlight) since(moment time.Time) (old []*message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for m := range h.all {
		if m.arrived.Before(moment) {
			old = append(old, m)
		}
	}
	return old
}
