package sandbox

import (
	"slices"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// counters are one application's, or one service's over all its applications. Only what was counted takes
// memory.
type counters struct {
	usage []*series          // by metric index
	codes map[string]*series // by response code or group: "200", "2XX"
}

func (c *counters) metric(index int) *series {
	for len(c.usage) <= index {
		c.usage = append(c.usage, nil)
	}
	if c.usage[index] == nil {
		c.usage[index] = new(series)
	}
	return c.usage[index]
}

func (c *counters) code(code string) *series {
	if c.codes == nil {
		c.codes = make(map[string]*series)
	}
	s := c.codes[code]
	if s == nil {
		s = new(series)
		c.codes[code] = s
	}
	return s
}

// value returns what a metric's counter of the period that holds now stands at.
func (c *counters) value(metric int, p threescale.Period, now time.Time) uint64 {
	if c == nil || metric >= len(c.usage) {
		return 0
	}
	return c.usage[metric].at(p, now, now)
}

// ledger is one service's counters: the sum over its applications, and each application's by id.
type ledger struct {
	total        counters
	applications map[string]*counters
}

func newLedger() *ledger { return &ledger{applications: make(map[string]*counters)} }

func (l *ledger) application(id string) *counters {
	c := l.applications[id]
	if c == nil {
		c = new(counters)
		l.applications[id] = c
	}
	return c
}

// moment is an instant with the keys of the counters that hold it: a batch has few distinct ones.
type moment struct {
	at          time.Time
	application [7]uint64 // by applicationPeriods
	service     [5]uint64 // by servicePeriods
}

func momentAt(t time.Time) *moment {
	m := &moment{at: t}
	for i, p := range applicationPeriods {
		m.application[i] = keyOf(p, t)
	}
	for i, p := range servicePeriods {
		m.service[i] = keyOf(p, t)
	}
	return m
}

// count books one transaction of an application: usage, ancestors included by the caller, and codes.
// It reports whether every counter could take it; if not, nothing was counted. The real backend would
// count a part, crash, and count the rest of the batch again with every re-run (recording
// report-overflow-among-good).
func (l *ledger) count(application string, usage []amount, codes []string, m *moment, now time.Time) bool {
	own := l.application(application)
	for _, a := range usage {
		if !fit(own.metric(a.metric), m.application[:], a, now) || !fit(l.total.metric(a.metric), m.service[:], a, now) {
			return false
		}
	}
	for _, a := range usage {
		book(own.metric(a.metric), m.application[:], a, now)
		book(l.total.metric(a.metric), m.service[:], a, now)
	}
	for _, code := range codes {
		book(own.code(code), m.application[:], amount{value: 1}, now)
		book(l.total.code(code), m.service[:], amount{value: 1}, now)
	}
	return true
}

func fit(s *series, keys []uint64, a amount, now time.Time) bool {
	for _, key := range keys {
		if !s.fits(key, a, now) {
			return false
		}
	}
	return true
}

func book(s *series, keys []uint64, a amount, now time.Time) {
	for _, key := range keys {
		s.apply(key, a, now)
	}
}

// The response codes the backend counts themselves, and the groups it counts.
var (
	countedCodes  = []string{"200", "403", "404", "500", "503"}
	countedGroups = []string{"2XX", "4XX", "5XX"}
)

// codesOf returns the counters a response code moves. Exactly three digits are a code; of those, five
// are counted themselves and three groups (recordings report-log-code-201, report-log-code-bad).
func codesOf(code threescale.Value) []string {
	text := code.Text()
	if len(text) != 3 || text[1] < '0' || text[1] > '9' || text[2] < '0' || text[2] > '9' {
		return nil
	}
	var counted []string
	if i := slices.Index(countedCodes, text); i >= 0 {
		counted = append(counted, countedCodes[i]) // not text, which would keep the whole request's memory
	}
	if i := slices.Index(countedGroups, text[:1]+"XX"); i >= 0 {
		counted = append(counted, countedGroups[i])
	}
	return counted
}
