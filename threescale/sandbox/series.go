package sandbox

import (
	"slices"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// What the backend keeps per application and per service (recording report-1), longest period first.
var (
	applicationPeriods = []threescale.Period{threescale.Eternity, threescale.Year, threescale.Month, threescale.Week, threescale.Day, threescale.Hour, threescale.Minute}
	servicePeriods     = []threescale.Period{threescale.Eternity, threescale.Month, threescale.Week, threescale.Day, threescale.Hour}
)

// minuteLife is how long a counter of a minute outlives its last change.
const minuteLife = 180 * time.Second

// kept bounds the counters of one series by period: what is older is forgotten. The backend itself keeps
// all but the minutes; a hundred days of hours are what the longest reader of them asks for.
func kept(p threescale.Period) int {
	switch p {
	case threescale.Minute:
		return 2000 // the whole window of timestamps, 25 hours, within one minuteLife
	case threescale.Hour:
		return 2400
	default:
		return 400
	}
}

// bucket is one counter: a period, its start, and what was counted in it.
type bucket struct {
	key     uint64 // period in the top byte, start in Unix seconds below
	value   uint64 // at most overflow
	changed int64  // Unix seconds of the last change; only minutes expire by it
}

// series holds the counters of one metric, or one response code, of one application or service, sorted by
// key: a few hundred bytes for an application that was seen today.
type series struct {
	buckets []bucket
}

// keyOf names the counter of period p that holds the moment t. Eternity starts at 0.
func keyOf(p threescale.Period, t time.Time) uint64 {
	if p == threescale.Eternity {
		return uint64(p) << 56
	}
	return uint64(p)<<56 | uint64(p.Start(t).Unix())
}

func (b *bucket) period() threescale.Period { return threescale.Period(b.key >> 56) }
func (b *bucket) start() time.Time          { return time.Unix(int64(b.key<<8>>8), 0).UTC() }

func (b *bucket) expired(now time.Time) bool {
	return b.period() == threescale.Minute && now.Unix()-b.changed >= int64(minuteLife/time.Second)
}

func (s *series) search(key uint64) (int, bool) {
	return slices.BinarySearchFunc(s.buckets, key, func(b bucket, key uint64) int {
		switch {
		case b.key < key:
			return -1
		case b.key > key:
			return 1
		}
		return 0
	})
}

// at returns what the counter of period p that holds t stands at.
func (s *series) at(p threescale.Period, t, now time.Time) uint64 {
	if s == nil {
		return 0
	}
	i, found := s.search(keyOf(p, t))
	if !found || s.buckets[i].expired(now) {
		return 0
	}
	return s.buckets[i].value
}

// apply counts a in the counter named by key. Setting 0 removes it, as the backend does; adding 0 makes
// none. The caller has made sure that the sum fits.
func (s *series) apply(key uint64, a amount, now time.Time) {
	i, found := s.search(key)
	if a.value == 0 {
		if a.set && found {
			s.buckets = slices.Delete(s.buckets, i, i+1)
		}
		return
	}
	if !found {
		i = s.insert(key, now)
	}
	b := &s.buckets[i]
	if b.expired(now) {
		b.value = 0
	}
	b.value = a.onto(b.value)
	b.changed = now.Unix()
}

// insert makes a counter under key and returns where it is, dropping first what has expired and, when the
// period has as many counters as are kept, its oldest.
func (s *series) insert(key uint64, now time.Time) int {
	s.buckets = slices.DeleteFunc(s.buckets, func(b bucket) bool { return b.expired(now) })
	period := key >> 56
	first, _ := s.search(period << 56)
	end, _ := s.search((period + 1) << 56)
	if end-first >= kept(threescale.Period(period)) {
		s.buckets = slices.Delete(s.buckets, first, first+1)
	}
	i, _ := s.search(key)
	s.buckets = slices.Insert(s.buckets, i, bucket{key: key, changed: now.Unix()})
	return i
}

// fits reports whether a can be counted under key without passing 64 signed bits.
func (s *series) fits(key uint64, a amount, now time.Time) bool {
	if a.value > overflow {
		return false
	}
	if i, found := s.search(key); found && !s.buckets[i].expired(now) {
		return a.onto(s.buckets[i].value) <= overflow
	}
	return true
}
