package nats

import (
	"sync"
	"sync/atomic"
	"time"
)

// held are the stream's messages that are with us: the server must not think that they are lost.
type held struct {
	trouble atomic.Pointer[error] // why the stream is not consumed; nil: it is

	mu  sync.Mutex // guards all
	all map[*message]struct{}
}

func (h *held) add(m *message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = make(map[*message]struct{})
	}
	h.all[m] = struct{}{}
}

func (h *held) release(group []*message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range group {
		delete(h.all, m)
	}
}

// since returns those that came before a moment.
func (h *held) since(moment time.Time) (old []*message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for m := range h.all {
		if m.came.Before(moment) {
			old = append(old, m)
		}
	}
	return old
}
