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

// edge is a possible edge of the metric hierarchy: a metric, and a metric that may be its ancestor.
type edge struct{ below, above *metric }

// inference is the cached result of a probe that did not find the edge.
type inference struct {
	apart bool // it does not; else that could not be told
	until time.Time
}

// inferred returns what a pair was found to be lately.
func (s *service) inferred(p edge, now time.Time) (b inference, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, ok = s.inferences[p]
	return b, ok && now.Before(b.until)
}

func (s *service) infer(p edge, b inference) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inferences == nil || len(s.inferences) >= maxMetrics {
		s.inferences = make(map[edge]inference)
	}
	s.inferences[p] = b
}

// inferApart notes that usage of p.below does not weigh on p.above.
func (s *service) inferApart(p edge, now time.Time) { s.infer(p, inference{true, now.Add(apartLife)}) }

// unknown reports whether p.below may lie below p.above, as far as is known.
func (s *service) unknown(p edge, now time.Time) bool {
	b, ok := s.inferred(p, now)
	return !p.below.under(p.above) && !p.above.under(p.below) && !(ok && b.apart)
}

// open reports whether that should be asked.
func (s *service) open(p edge, now time.Time) bool {
	_, ok := s.inferred(p, now)
	return !ok && s.unknown(p, now)
}

// headroom is what is left of a metric's limits, the least of all periods; negative when one is passed.
type headroom struct {
	metric *metric
	left   int64
}

// headrooms are those of the limits in an answer, the tightest first.
func (s *service) headrooms(st *threescale.Status) []headroom {
	var all []headroom
	for i := range st.UsageReports {
		u := &st.UsageReports[i]
		m, left := s.metric(u.Metric), u.MaxValue-u.CurrentValue
		if at := slices.IndexFunc(all, func(r headroom) bool { return r.metric == m }); at >= 0 {
			all[at].left = min(all[at].left, left)
		} else {
			all = append(all, headroom{m, left})
		}
	}
	slices.SortStableFunc(all, func(a, b headroom) int {
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

// probeHierarchy learns on which limits the metrics of the call weigh, as far as no answer has said so yet. What cannot be
// told now is tried again with the next answer. The first answer about an application is waited for, by many
// perhaps: with it only metrics are placed that no limit is known for, and the rest with the second.
func (i *inquiry) probeHierarchy(ctx context.Context, answer *threescale.Authorization, first bool) {
	rooms := i.service.headrooms(answer.Verdict)
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
			i.probeEdge(ctx, edge{m, r.metric}, r, rooms, &probes)
		}
	}
}

// probeEdge finds out whether p.below lies below p.above, if that is open. Where other limits could be the reason
// for a denial, it finds out first what p.above has to do with them.
func (i *inquiry) probeEdge(ctx context.Context, p edge, r headroom, rooms []headroom, probes *int) {
	if !i.service.open(p, time.Now()) {
		return
	}
	told := i.probe(ctx, p, r.left, probes)
	for _, other := range rooms {
		if q := (edge{p.above, other.metric}); !told && i.service.open(q, time.Now()) {
			i.probe(ctx, q, other.left, probes)
		}
	}
	if !told && !i.probe(ctx, p, r.left, probes) {
		i.service.infer(p, inference{false, time.Now().Add(openLife)})
	}
}

// limited reports whether a metric is known to weigh on a limit.
func limited(m *metric, rooms []headroom) bool {
	return slices.ContainsFunc(rooms, func(r headroom) bool { return m.under(r.metric) })
}

// hint takes what the limit headers of a call for one of m tell, when nothing else is known of it: whether a
// limit applies at all, and which is the tightest (backend.md, section 7).
func (i *inquiry) hint(m *metric, rooms []headroom, h threescale.LimitHeaders) {
	now := time.Now()
	if !h.Present || limited(m, rooms) {
		return
	}
	if h.Remaining < 0 {
		for _, r := range rooms {
			i.service.inferApart(edge{m, r.metric}, now)
		}
		return
	}
	same := slices.DeleteFunc(slices.Clone(rooms), func(r headroom) bool { return max(0, r.left) != h.Remaining })
	if len(same) == 1 && i.service.unknown(edge{m, same[0].metric}, now) {
		m.parent.Store(same[0].metric)
	}
}

// probe asks whether p.below lies below p.above, of which so much is left, and reports whether that could be told.
func (i *inquiry) probe(ctx context.Context, p edge, left int64, probes *int) bool {
	now := time.Now()
	if left > threescale.MaxValue {
		i.service.inferApart(p, now) // no counter reaches that value
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
	rooms := i.service.headrooms(one.Verdict)
	at := slices.IndexFunc(rooms, func(r headroom) bool { return r.metric == p.above })
	switch {
	case at < 0 || rooms[at].left != left: // somebody used it meanwhile
	case one.Status == http.StatusOK:
		i.service.inferApart(p, now)
		return true
	case rejection(one) == threescale.CodeLimitsExceeded && i.nobodyElse(p, left, rooms, now):
		return i.service.join(p, now)
	}
	return false
}

// nobodyElse reports whether no other limit can have denied a probe, whatever lies below what.
func (i *inquiry) nobodyElse(p edge, left int64, rooms []headroom, now time.Time) bool {
	may := func(m, above *metric) bool { return m.under(above) || i.service.unknown(edge{m, above}, now) }
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
func (s *service) join(p edge, now time.Time) bool {
	for m := p.below; ; {
		parent := m.parent.Load()
		switch {
		case parent == nil, p.above.under(parent): // the way up from there leads to parent
			m.parent.Store(p.above)
			return true
		case s.unknown(edge{p.above, parent}, now):
			return false
		}
		m = parent
	}
}
