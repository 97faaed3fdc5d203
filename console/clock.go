package console

import (
	"math"
	"time"
)

// Clock is what is known of the backend's clock against ours.
type Clock struct {
	Known       bool          // an answer showed it
	Own         bool          // the backend itself did; false: only a Date, which may be a proxy's
	Ahead       time.Duration // at the least; negative: behind
	Least, Most time.Duration // between which bounds it is ahead
	Waiting     int           // batches that wait because the backend would drop them by its clock
}

const (
	clockTolerance = time.Minute               // within which clocks agree
	clockBounded   = 10 * 365 * 24 * time.Hour // beyond it a bound is none
)

// plus returns the clock that differs more, of two partitions with the same backend.
func (c Clock) plus(o Clock) Clock {
	sum := c
	if !c.Known || o.Known && o.Ahead.Abs() > c.Ahead.Abs() {
		sum = o
	}
	sum.Waiting = c.Waiting + o.Waiting
	return sum
}

func (c Clock) bounded() bool { return c.Least.Abs() < clockBounded && c.Most.Abs() < clockBounded }

// clocks are the metric families of the backend's clock.
var clocks = []family{
	{kind: gauge, name: "reporterd_clock_skew_seconds", help: "By how much the backend's clock is ahead of this one at the least; negative: behind. NaN: no answer has shown it.",
		value: func(s *Snapshot) float64 {
			if !s.Reports.Clock.Known {
				return math.NaN()
			}
			return s.Reports.Clock.Ahead.Seconds()
		}},
	{kind: gauge, name: "reporterd_clock_uncertainty_seconds", help: "How far the bounds lie apart between which the backend's clock is known to be ahead. NaN: no answer has shown it.",
		value: func(s *Snapshot) float64 {
			switch c := s.Reports.Clock; {
			case !c.Known:
				return math.NaN()
			case !c.bounded():
				return math.Inf(1)
			default:
				return (c.Most - c.Least).Seconds()
			}
		}},
	{kind: gauge, name: "reporterd_clock_waiting_batches", help: "Batches that wait because the backend would drop them by its own clock.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.Clock.Waiting) }},
}

// StatusClock is what is known of the backend's clock.
type StatusClock struct {
	State   string   `json:"state"`                    // "unknown", "agrees", "ahead", "behind"
	Source  string   `json:"source,omitempty"`         // "backend", or "date": a header that may be a proxy's
	Least   *float64 `json:"ahead_at_least,omitempty"` // seconds; negative: behind
	Most    *float64 `json:"ahead_at_most,omitempty"`
	Waiting int      `json:"waiting_batches"`
}

func (c Clock) page() StatusClock {
	page := StatusClock{State: "unknown", Waiting: c.Waiting}
	if !c.Known {
		return page
	}
	switch page.State, page.Source = "agrees", "date"; {
	case c.Ahead > clockTolerance:
		page.State = "ahead"
	case c.Ahead < -clockTolerance:
		page.State = "behind"
	}
	if c.Own {
		page.Source = "backend"
	}
	page.Least, page.Most = boundary(c.Least), boundary(c.Most)
	return page
}

// boundary returns a bound in seconds; nil: there is none.
func boundary(d time.Duration) *float64 {
	if d.Abs() >= clockBounded {
		return nil
	}
	seconds := d.Seconds()
	return &seconds
}
