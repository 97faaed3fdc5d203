package test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// maxInFlight is sender.max_in_flight in the crash test: how many reports one kill can leave in doubt.
const maxInFlight = 8

// verdict is what the checker found, and the figures it found on the way.
type verdict struct {
	shared   bool // the lives are replicas: a batch whose outcome could not be recorded may be another's, or come back
	problems []string
	repeated int    // reports that landed more than once
	reopened int    // reports repeated though the answer had been sent: the kill came before it was booked
	excess   uint64 // events they counted too often
	unclear  uint64 // events in attempts that were followed by another because nobody knew what became of them
}

// check compares what was acknowledged, what reached the backend and what it counted with the permitted
// states: nothing acknowledged is missing, nothing is there that was never sent, and whatever was
// counted twice was in flight at a kill or answered so that nobody could know. ended says of each life
// whether it was killed.
func check(l *ledger, w *witness, counted tally, killed map[int]bool) verdict {
	return verdict{problems: slices.Concat(l.problems, w.problems)}.check(l, w, counted, killed)
}

// checkReplicas does the same where several daemons share one spool. A report that was answered may be repeated
// by the next owner of its partition, if the last could not record the answer: it lost the partition, or the bus.
func checkReplicas(l *ledger, w *witness, counted tally) verdict {
	return verdict{shared: true, problems: slices.Concat(l.problems, w.problems)}.check(l, w, counted, nil)
}

func (v verdict) check(l *ledger, w *witness, counted tally, killed map[int]bool) verdict {
	once, all := tally{}, tally{}
	reopened := map[int]int{}
	for _, s := range w.reports {
		v.follow(s, killed, reopened, once, all)
	}
	for life, n := range reopened {
		v.reopened += n
		if n > maxInFlight && !v.shared {
			v.problem("%d reports were repeated after the end of life %d, at most %d were in flight", n, life, maxInFlight)
		}
	}
	v.compare(l, once)
	for _, k := range names(counted, all) {
		if counted[k] != all[k] {
			v.problem("%v: %d landed, the backend counted %d", k, all[k], counted[k])
		}
	}
	return v
}

func (v *verdict) problem(format string, args ...any) {
	v.problems = append(v.problems, fmt.Sprintf(format, args...))
}

// follow goes through the attempts at one report.
func (v *verdict) follow(s *sighting, killed map[int]bool, reopened map[int]int, once, all tally) {
	landed := 0
	for i, a := range s.attempts {
		if a.landed {
			landed++
			all.add(s.usage)
		}
		if i > 0 && !s.attempts[i-1].certain {
			v.unclear += s.usage.hits()
		}
		if i == 0 || !s.attempts[i-1].told {
			continue // a repetition the last answer asked for, or left open
		}
		switch last := s.attempts[i-1].life; {
		case v.shared:
			reopened[last]++
		case last == a.life:
			v.problem("life %d repeated a report it had been told was taken", last)
		case !killed[last]:
			v.problem("life %d repeated a report that life %d, stopped in good order, had been told was taken", a.life, last)
		default:
			reopened[last]++
		}
	}
	if landed > 0 {
		once.add(s.usage)
	}
	if landed > 1 {
		v.repeated++
		v.excess += uint64(landed-1) * s.usage.hits()
	}
}

// compare holds what arrived, each report counted once, against the ledger.
func (v *verdict) compare(l *ledger, once tally) {
	for _, k := range names(l.kept.usage, l.doubted.usage, once) {
		least, most := l.kept.usage[k], l.kept.usage[k]+l.doubted.usage[k]
		switch got := once[k]; {
		case got < least:
			v.problem("%v: LOST %d of %d acknowledged", k, least-got, least)
		case got > most:
			v.problem("%v: %d too many: %d arrived, %d were acknowledged, %d in doubt", k, got-most, got, least, most-least)
		}
	}
}

// hits is the sum over all applications: the number of events, in this workload.
func (t tally) hits() uint64 {
	var n uint64
	for k, v := range t {
		if k.metric == "hits" {
			n += v
		}
	}
	return n
}

// names returns the counters of all, sorted.
func names(all ...tally) []key {
	set := map[key]bool{}
	for _, t := range all {
		for k := range t {
			set[k] = true
		}
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b key) int {
		return slices.Compare([]string{a.service, a.app, a.metric}, []string{b.service, b.app, b.metric})
	})
}

// TestChecker judges the judge: every way to be wrong is called by its name.
func TestChecker(t *testing.T) {
	one := tally{key{"1001", "app1", "hits"}: 1}
	two := tally{key{"1001", "app1", "hits"}: 2}
	told, lost, silent := attempt{life: 1, landed: true, told: true}, attempt{life: 1}, attempt{life: 1, landed: true}
	later := attempt{life: 2, landed: true, told: true}
	for _, c := range []struct {
		name          string
		kept, doubted tally
		counted       tally
		attempts      []attempt
		killed        bool
		problems      int
	}{
		{"delivered once", one, nil, one, []attempt{told}, false, 0},
		{"delivered after a refusal", one, nil, one, []attempt{lost, told}, false, 0},
		{"acknowledged and never seen", one, nil, nil, nil, false, 1},
		{"acknowledged, seen, never landed", one, nil, nil, []attempt{lost}, false, 1},
		{"in doubt, and there", nil, one, one, []attempt{told}, false, 0},
		{"in doubt, and not there", nil, one, nil, nil, false, 0},
		{"never sent, and there", nil, nil, one, []attempt{told}, false, 1},
		{"landed twice, the first time in silence", one, nil, two, []attempt{silent, told}, false, 0},
		{"landed twice, told the first time", one, nil, two, []attempt{told, told}, false, 1},
		{"landed twice, killed in between", one, nil, two, []attempt{told, later}, true, 0},
		{"landed twice, stopped in between", one, nil, two, []attempt{told, later}, false, 1},
		{"landed once, counted twice", one, nil, two, []attempt{told}, false, 1},
	} {
		l := &ledger{kept: book{usage: c.kept}, doubted: book{usage: c.doubted}}
		w := newWitness("", 1)
		if c.attempts != nil {
			w.reports[[32]byte{1}] = &sighting{usage: one, attempts: c.attempts}
		}
		v := check(l, w, c.counted, map[int]bool{1: c.killed})
		assert.Len(t, v.problems, c.problems, "%s: %v", c.name, v.problems)
	}
}
