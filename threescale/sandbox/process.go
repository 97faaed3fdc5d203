package sandbox

import (
	"fmt"
	"net/http"
	"time"
)

// Backend is how the backend is as a whole while the faults stand. The zero Backend changes nothing.
type Backend struct {
	// Clock is by how much the backend's clock is ahead of the sandbox's; negative: behind. Timestamps, periods and
	// counters go by it; queues and memories do not.
	Clock Duration `json:"clock,omitempty"`
	// Date lets a proxy in front add a header Date, of the backend's clock. The backend itself sends none.
	Date bool `json:"date,omitempty"`
	// Listeners and Workers are how many processes there are of each, every one with memories of its own; calls and
	// jobs go to them by turns. 0: 1.
	Listeners int `json:"listeners,omitempty"`
	Workers   int `json:"workers,omitempty"`
	// NegativeCache and PositiveCache stand instead of those in Options; the real backend's are 60 s. When they or the
	// numbers of processes change, the processes begin anew, without memories.
	NegativeCache *Duration `json:"negative_cache,omitempty"`
	PositiveCache *Duration `json:"positive_cache,omitempty"`
}

// maxProcesses bounds the listeners, and the workers.
const maxProcesses = 64

func (b *Backend) check() error {
	if b == nil {
		return nil
	}
	for name, n := range map[string]int{"listeners": b.Listeners, "workers": b.Workers} {
		if n < 0 || n > maxProcesses {
			return fmt.Errorf("backend: %s: %d is not between 0 and %d", name, n, maxProcesses)
		}
	}
	for name, d := range map[string]*Duration{"negative_cache": b.NegativeCache, "positive_cache": b.PositiveCache} {
		if d != nil && *d < 0 {
			return fmt.Errorf("backend: %s: %v is below 0", name, time.Duration(*d))
		}
	}
	return nil
}

// memoriesOf are how long processes remember, and how many there are of each kind.
type memoriesOf struct {
	negative, positive time.Duration
	listeners, workers int
}

// memories returns what holds while the faults stand, where o says nothing else.
func (b *Backend) memories(o Options) memoriesOf {
	m := memoriesOf{o.NegativeCache, o.PositiveCache, 1, 1}
	if b == nil {
		return m
	}
	m.listeners, m.workers = max(1, b.Listeners), max(1, b.Workers)
	if b.NegativeCache != nil {
		m.negative = time.Duration(*b.NegativeCache)
	}
	if b.PositiveCache != nil {
		m.positive = time.Duration(*b.PositiveCache)
	}
	return m
}

// processes are those of one kind, each with what it believes. The Sandbox's mutex guards them.
type processes struct {
	views []*view
	turn  int
}

func newProcesses(n int, d *directory, negative, positive time.Duration) *processes {
	p := &processes{}
	for range n {
		p.views = append(p.views, newView(d, negative, positive))
	}
	return p
}

// next is the process that takes the next call or job.
func (p *processes) next() *view {
	p.turn = (p.turn + 1) % len(p.views)
	return p.views[p.turn]
}

func (p *processes) forget() {
	for _, v := range p.views {
		v.forget()
	}
}

// startProcesses begins the processes anew, if their number changes. The caller holds s.mu.
func (s *Sandbox) startProcesses() {
	if m := s.faults.Backend.memories(s.options); m != s.memories || s.listeners == nil {
		s.memories = m
		s.listeners = newProcesses(m.listeners, s.directory, m.negative, m.positive)
		s.workers = newProcesses(m.workers, s.directory, m.negative, m.positive)
	}
}

// clock is what the backend's clock says at a moment of the sandbox's. The caller holds s.mu.
func (s *Sandbox) clock(t time.Time) time.Time {
	if b := s.faults.Backend; b != nil {
		return t.Add(time.Duration(b.Clock))
	}
	return t
}

// date adds a Date of the backend's clock, if there is to be one.
func (s *Sandbox) date(h http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.faults.Backend; b != nil && b.Date {
		h.Set("Date", s.clock(s.now()).UTC().Format(http.TimeFormat))
	}
}
