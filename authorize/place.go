package authorize

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// The backend tells the children of metrics that have a limit, and of no others (recording
// auth-ext-hierarchy). Where a metric without a limit lies between two that have one, nothing it says by itself
// shows that usage of the lower weighs on the upper: 3scale makes such hierarchies, hits over hits.<backend> over
// the backend's methods. So it is asked. A call that takes all that is left of one metric, and one of another
// besides, is denied if, and only if, the other lies below; an authorize counts nothing.

const (
	// maxProbes bounds the extra calls that one question may need to place metrics in the hierarchy.
	maxProbes = 8

	// apartLife is how long it is believed that one metric does not lie below another, and openLife how long it
	// is not asked again when that could not be told.
	apartLife = time.Hour
	openLife  = 5 * time.Minute
)

// pair is a metric and one that may lie above it.
type pair struct{ below, above *metric }

// belief is what a probe found, other than that the one lies below the other.
type belief struct {
	apart bool // it does not; else that could not be told
	until time.Time
}

// believed returns what a pair was found to be lately.
func (s *service) believed(p pair, now time.Time) (b belief, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, ok = s.beliefs[p]
	return b, ok && now.Before(b.until)
}

func (s *service) believe(p pair, b belief) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.beliefs == nil || len(s.beliefs) >= maxMetrics {
		s.beliefs = make(map[pair]belief)
	}
	s.beliefs[p] = b
}

// part notes that usage of p.below does not weigh on p.above.
func (s *service) part(p pair, now time.Time) { s.believe(p, belief{true, now.Add(apartLife)}) }

// unknown reports whether p.below may lie below p.above, as far as is known.
func (s *service) unknown(p pair, now time.Time) bool {
	b, ok := s.believed(p, now)
	return !p.below.under(p.above) && !p.above.under(p.below) && !(ok && b.apart)
}

// open reports whether that should be asked.
func (s *service) open(p pair, now time.Time) bool {
	_, ok := s.believed(p, now)
	return !ok && s.unknown(p, now)
}

// room is what is left of a metric's limits, the least of all periods; negative when one is passed.
type room struct {
	metric *metric
	left   int64
}

// rooms are those of the limits in an answer, the tightest first.
func (s *service) rooms(st *threescale.Status) []room {
	var all []room
	for i := range st.UsageReports {
		u := &st.UsageReports[i]
		m, left := s.metric(u.Metric), u.MaxValue-u.CurrentValue
		if at := slices.IndexFunc(all, func(r room) bool { return r.metric == m }); at >= 0 {
			all[at].left = min(all[at].left, left)
		} else {
			all = append(all, room{m, left})
		}
	}
	slices.SortStableFunc(all, func(a, b room) int {
		switch {
		case a.left < b.left:
			return -1
		case a.left > b.left:
			return 1
		}
		return 0
	})
	return all
}

// place learns on which limits the metrics of the call weigh, as far as no answer has said so yet. What cannot be
// told now is tried again with the next answer. The first answer about an application is waited for, by many
// perhaps: with it only metrics are placed that no limit is known for, and the rest with the second.
func (i *inquiry) place(ctx context.Context, answer *threescale.Authorization, first bool) {
	rooms := i.service.rooms(answer.Verdict)
	if len(i.metrics) == 1 {
		i.hint(i.service.metric(i.metrics[0]), rooms, answer.Limits)
	}
	probes := maxProbes
	for _, name := range i.metrics {
		m := i.service.metric(name)
		if first && limited(m, rooms) {
			continue
		}
		for _, r := range rooms {
			i.settle(ctx, pair{m, r.metric}, r, rooms, &probes)
		}
	}
}

// settle finds out whether p.below lies below p.above, if that is open. Where other limits could be the reason
// for a denial, it finds out first what p.above has to do with them.
func (i *inquiry) settle(ctx context.Context, p pair, r room, rooms []room, probes *int) {
	if !i.service.open(p, time.Now()) {
		return
	}
	told := i.probe(ctx, p, r.left, probes)
	for _, other := range rooms {
		if q := (pair{p.above, other.metric}); !told && i.service.open(q, time.Now()) {
			i.probe(ctx, q, other.left, probes)
		}
	}
	if !told && !i.probe(ctx, p, r.left, probes) {
		i.service.believe(p, belief{false, time.Now().Add(openLife)})
	}
}

// limited reports whether a metric is known to weigh on a limit.
func limited(m *metric, rooms []room) bool {
	return slices.ContainsFunc(rooms, func(r room) bool { return m.under(r.metric) })
}

// hint takes what the limit headers of a call for one of m tell, when nothing else is known of it: whether a
// limit applies at all, and which is the tightest (backend.md, section 7).
func (i *inquiry) hint(m *metric, rooms []room, h threescale.LimitHeaders) {
	now := time.Now()
	if !h.Present || limited(m, rooms) {
		return
	}
	if h.Remaining < 0 {
		for _, r := range rooms {
			i.service.part(pair{m, r.metric}, now)
		}
		return
	}
	same := slices.DeleteFunc(slices.Clone(rooms), func(r room) bool { return max(0, r.left) != h.Remaining })
	if len(same) == 1 && i.service.unknown(pair{m, same[0].metric}, now) {
		m.parent.Store(same[0].metric)
	}
}

// probe asks whether p.below lies below p.above, of which so much is left, and reports whether that could be told.
func (i *inquiry) probe(ctx context.Context, p pair, left int64, probes *int) bool {
	now := time.Now()
	if left > threescale.MaxValue {
		i.service.part(p, now) // nobody will ever get there
		return true
	}
	q := i.call.question([]string{p.below.name})
	if left >= 0 {
		q.Usage = append(q.Usage, threescale.Increment{Metric: p.above.name, Value: uint64(left)})
	}
	if *probes--; *probes < 0 {
		return false
	}
	one, err := i.send(ctx, q)
	if err != nil || !isAnswer(one) || one.Verdict == nil {
		return false
	}
	rooms := i.service.rooms(one.Verdict)
	at := slices.IndexFunc(rooms, func(r room) bool { return r.metric == p.above })
	switch {
	case at < 0 || rooms[at].left != left: // somebody used it meanwhile
	case one.Status == http.StatusOK:
		i.service.part(p, now)
		return true
	case rejection(one) == threescale.CodeLimitsExceeded && i.nobodyElse(p, left, rooms, now):
		return i.service.join(p, now)
	}
	return false
}

// nobodyElse reports whether no other limit can have denied a probe, whatever lies below what.
func (i *inquiry) nobodyElse(p pair, left int64, rooms []room, now time.Time) bool {
	may := func(m, above *metric) bool { return m.under(above) || i.service.unknown(pair{m, above}, now) }
	for _, r := range rooms {
		if r.metric == p.above {
			continue
		}
		most := int64(0)
		if may(p.below, r.metric) {
			most++
		}
		if left > 0 && may(p.above, r.metric) {
			most += left
		}
		if most > 0 && r.left < most {
			return false
		}
	}
	return true
}

// join puts p.above to its place above p.below, below what it is known to lie below itself, and above what it is
// known not to lie below. It reports false when that is not clear.
func (s *service) join(p pair, now time.Time) bool {
	for m := p.below; ; {
		parent := m.parent.Load()
		switch {
		case parent == nil, p.above.under(parent): // the way up from there leads to parent
			m.parent.Store(p.above)
			return true
		case s.unknown(pair{p.above, parent}, now):
			return false
		}
		m = parent
	}
}
