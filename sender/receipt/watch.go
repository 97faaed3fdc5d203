package receipt

import "time"

// End says what became of a report.
type End uint8

// The ends. The zero End: it is not known yet.
const (
	Counted     End = iota + 1 // whole, once
	Dropped                    // nothing of it was counted: it may be sent again
	Partial                    // a part was counted, the rest was not; Digits say which slices
	Double                     // something was counted more often than once; Digits say which slices
	Unconfirmed                // what can be known is known, and it is not enough
)

var ends = [...]string{"open", "counted", "dropped", "partial", "double", "unconfirmed"}

// String returns the end's name in logs and metrics.
func (e End) String() string { return ends[e] }

// Conclusion is what became of one report.
type Conclusion[K comparable] struct {
	ID   K
	End  End
	Mask Mask // the applications that have a digit
	// Digits say how often each receipt was counted, by application.
	Digits [Applications]uint8
	// Culprit is what authorizations deny knowing, of a report that was dropped for it; empty: there is none, and the
	// report was lost in another way.
	Culprit string
	Sent    time.Time // its latest attempt
	At      time.Time // when that was read from which the conclusion follows
}

// Rules are the times that a conclusion waits for. The zero Rules have the documented defaults.
type Rules struct {
	// Rerun is after how long the backend runs a job again that failed (300 s), or gets a report late that something held
	// (so long was seen), and a margin for what a worker has in hand meanwhile. A report that did not move is given up
	// after links of it: each time a report is counted that was sent so much later than the one before it was seen, all
	// that can have happened to the first report by then has happened. 0: 5 min 20 s.
	Rerun time.Duration
	// Apart is the least between two authorizations that deny an application or metric, before it counts as unknown: the
	// backend's processes remember for 60 s what they did not find. 0: 65 s.
	Apart time.Duration
	// Confirm is how long a report that is counted is watched on, before that is concluded: a worker sends a slice again 5 s
	// after its database restarted. 0: 6 s.
	Confirm time.Duration
	// Again is the most between two readings of what does not move. 0: 30 s.
	Again time.Duration
}

// links is how often a report that did not move must be overtaken: it came late, failed, and failed once more.
const links = 3

func (r Rules) withDefaults() Rules {
	for _, d := range []struct {
		of *time.Duration
		is time.Duration
	}{
		{&r.Rerun, 320 * time.Second}, {&r.Apart, 65 * time.Second}, {&r.Confirm, 6 * time.Second},
		{&r.Again, 30 * time.Second},
	} {
		if *d.of <= 0 {
			*d.of = d.is
		}
	}
	return r
}

// settle is how long anything was seen to land late, at the most.
func (r Rules) settle() time.Duration { return links * r.Rerun }

// watch is a report whose end is not known.
type watch[K comparable] struct {
	id       K
	receipt  Receipt
	sent     time.Time // when its latest attempt began
	limit    time.Time // from then on the backend cannot count it any more, because its usage is too old
	released bool      // it is to be sent again, and was not yet
	resent   bool      // it was concluded dropped before, without a culprit, and an earlier attempt may still land

	digits     [Applications]uint8
	below      [Applications]uint64    // what was counted at lower places, by the same base
	read       [Applications]time.Time // when the latest reading was asked for
	unreadable bool                    // its digits mean nothing any more
	moved      time.Time               // the reading that saw a digit move last
	passed     time.Time               // the reading that showed a later report counted first
	links      int                     // how often it was overtaken, one after the other
	linked     time.Time               // the reading that showed the latest of these, or a digit that moved, or its attempt

	denied  map[string]time.Time // by what an authorization denied after the attempt, and no later one knew: the first time
	culprit string               // denied twice
	twice   time.Time            // when the second of these authorizations was asked for

	timed       bool      // how long it took to be counted is known
	blind       Mask      // receipt applications that show no counter of its metric
	absent      Mask      // receipt applications that the backend does not know
	absentSince time.Time // when that was first seen
	absentTwice time.Time // when it counts

	due     time.Time     // read it again
	wait    time.Duration // after the next reading
	suspect time.Time     // when its applications and metrics were last to be asked about
}

// zero reports whether no digit has moved.
func (w *watch[K]) zero() bool { return w.digits == [Applications]uint8{} }

// least and most of the digits.
func (w *watch[K]) bounds() (least, most uint8) { return w.boundsOf(w.receipt.Mask) }

func (w *watch[K]) boundsOf(mask Mask) (least, most uint8) {
	least = 3
	for a := range Applications {
		if mask.Has(a) {
			least, most = min(least, w.digits[a]), max(most, w.digits[a])
		}
	}
	return least, most
}

// gap reports whether a receipt reads 0 of which a later one was written: it was counted four times between two readings.
func (w *watch[K]) gap() bool {
	if w.seen().Before(w.moved) {
		return false // the later one was read later
	}
	behind := false
	for a := Last; a >= First; a-- {
		if !w.receipt.Mask.Has(a) {
			continue
		}
		if behind && w.digits[a] == 0 {
			return true
		}
		behind = behind || w.digits[a] > 0
	}
	return false
}

// seen is when the reading was asked for that is the oldest of the latest ones; zero: one of its counters was not read yet.
func (w *watch[K]) seen() time.Time { return w.seenOf(w.receipt.Mask) }

func (w *watch[K]) seenOf(mask Mask) time.Time {
	at, any := time.Time{}, false
	for a := range Applications {
		if mask.Has(a) && (!any || w.read[a].Before(at)) {
			at, any = w.read[a], true
		}
	}
	return at
}

// conclude says what became of the report, if that is known at a moment.
func (w *watch[K]) conclude(rules Rules, now time.Time) End {
	least, most := w.bounds()
	switch {
	case w.unreadable || w.gap():
		return Unconfirmed
	case w.blind != 0:
		return w.concludeUnread(now)
	case w.absent != 0:
		return w.concludeAbsent(now)
	case least >= 1 && w.seen().Before(w.moved.Add(rules.Confirm)):
		return 0
	case least >= 1 && most == 1:
		return Counted
	case least >= 1:
		return Double
	case most >= 1:
		return w.concludeBegun(rules, now)
	}
	return w.concludeUnmoved(rules, now)
}

// concludeBegun concludes about a report of which a part is counted. It may be about to be counted: the worker is at
// it, or it failed and is run again, which would show. Nothing is sent again in either case.
func (w *watch[K]) concludeBegun(rules Rules, now time.Time) End {
	if w.links >= links && !w.seen().Before(w.linked.Add(rules.Confirm)) || w.over(now) {
		return Partial
	}
	return 0
}

// concludeUnmoved concludes about a report of which nothing is seen. Its first receipt is the first that is written of it.
func (w *watch[K]) concludeUnmoved(rules Rules, now time.Time) End {
	seen := w.seen()
	switch {
	case w.released:
		return 0
	case w.culprit != "" && !w.passed.IsZero() && !seen.Before(later(w.twice, w.passed)):
		return Dropped
	case w.links >= links && !seen.Before(w.linked.Add(rules.Confirm)):
		return Dropped
	case w.over(now):
		return Unconfirmed
	}
	return 0
}

// concludeAbsent concludes about a report one of whose own receipt applications is unknown: it voids the report, if that was not
// counted before. The worker writes the first receipt before everything else: if it has not moved since, nothing of the report was
// counted. If the first receipt cannot be read, the worker may have been killed right after it wrote that one, or later.
// Such a report waits until the receipt application exists again and its counter can be read, or until the backend cannot
// count the report any more.
func (w *watch[K]) concludeAbsent(now time.Time) End {
	others := w.receipt.Mask &^ w.absent
	_, most := w.boundsOf(others)
	switch {
	case w.absentTwice.IsZero():
		return 0
	case !others.Has(First) || most > 0:
		return w.concludeUnread(now)
	case !w.seenOf(others).Before(w.absentTwice):
		w.culprit = "a receipt application"
		return Dropped
	}
	return 0
}

// concludeUnread concludes about a report whose counters cannot all be read.
func (w *watch[K]) concludeUnread(now time.Time) End {
	if w.limit.IsZero() || now.Before(w.limit) {
		return 0
	}
	return Unconfirmed
}

// lack notes that a receipt application is not known.
func (w *watch[K]) lack(application int, asked time.Time, rules Rules) {
	if w.absent == 0 {
		w.absentSince = asked
	}
	w.absent |= 1 << application
	if w.absentTwice.IsZero() && asked.Sub(w.absentSince) >= rules.Apart {
		w.absentTwice = asked
	}
}

// overtake notes that a report is counted which was sent at a moment, as a reading shows.
func (w *watch[K]) overtake(sent, asked time.Time, rules Rules) {
	if w.passed.IsZero() && w.sent.Before(sent) {
		w.passed = asked
	}
	if w.links < links && !sent.Before(w.linked.Add(rules.Rerun)) {
		w.links, w.linked = w.links+1, asked
	}
}

// over reports whether the backend cannot count the report any more, and it was read since.
func (w *watch[K]) over(now time.Time) bool {
	return !w.limit.IsZero() && !now.Before(w.limit) && !w.seen().Before(w.limit)
}

// deny notes that an authorization asked for at a moment did not know something the report names.
func (w *watch[K]) deny(what string, asked time.Time, rules Rules) {
	if !asked.After(w.sent) {
		return
	}
	first, known := w.denied[what]
	if !known {
		if w.denied == nil {
			w.denied = make(map[string]time.Time)
		}
		w.denied[what] = asked
		return
	}
	if w.culprit == "" && asked.Sub(first) >= rules.Apart {
		w.culprit, w.twice = what, asked
		w.due = asked // the conclusion needs a reading from behind it
	}
}

// vouch notes that an authorization knew something the report names.
func (w *watch[K]) vouch(what string) {
	delete(w.denied, what)
	if w.culprit == what {
		w.culprit, w.twice = "", time.Time{}
	}
}

// again begins a later attempt with the same receipt.
func (w *watch[K]) again(sent time.Time) {
	w.sent, w.resent, w.passed, w.suspect = sent, true, time.Time{}, time.Time{}
	w.links, w.linked = 0, sent
	w.denied, w.culprit, w.twice = nil, "", time.Time{}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// SliceState is what is known of one slice of a report.
type SliceState uint8

// The states of a slice.
const (
	SliceCounted SliceState = iota // whole, once
	SliceMissing                   // nothing of it
	SliceBegun                     // its beginning, perhaps all
	SliceDoubled                   // its beginning more often than once, perhaps all
)

var sliceStates = [...]string{"counted", "missing", "begun", "doubled"}

// String returns the state's name in logs.
func (s SliceState) String() string { return sliceStates[s] }

// Slices says what the digits of a report with a first receipt mean for each of its slices: a slice is whole when the
// receipt behind it was written, since one slice is written after the other.
func Slices(mask Mask, digits [Applications]uint8) []SliceState {
	var states []SliceState
	for head := First; head < Last && mask.Has(head); head++ {
		next := head + 1
		if next < Last && !mask.Has(next) {
			next = Last
		}
		switch {
		case digits[head] == 0:
			states = append(states, SliceMissing)
		case digits[head] > 1:
			states = append(states, SliceDoubled)
		case digits[next] == 0:
			states = append(states, SliceBegun)
		default:
			states = append(states, SliceCounted)
		}
	}
	return states
}
