package authorize

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
)

// The backend tells the children of metrics that have a limit, and of no other metrics (recording
// auth-ext-hierarchy). Where a metric without a limit lies between two that have one, nothing it says by itself
// shows that usage of the lower weighs on the upper: 3scale makes such hierarchies, hits over hits.<backend> over
// the backend's methods. So it is asked. A call that takes all that is left of one metric, and one of another
// besides, is denied if, and only if, the second lies below the first; an authorize counts nothing.

// maxProbes bounds the extra calls that one question may need to place metrics in the hierarchy.
const maxProbes = 8

// probeHierarchy learns on which limits the metrics of the call weigh, as far as no answer has said so yet. What cannot be
// told now is tried again with the next answer. The first answer about an application is waited for, by many
// perhaps: with it only metrics are placed that no limit is known for, and the rest with the second.
func (i *inquiry) probeHierarchy(ctx context.Context, answer *threescale.Authorization, first bool) {
	rooms := i.service.Headrooms(answer.Verdict)
	if len(i.metrics) == 1 {
		i.hint(i.service.Metric(i.metrics[0]), rooms, answer.Limits)
	}
	probes := maxProbes
	for _, name := range i.metrics {
		m := i.service.Metric(name)
		if first && limited(m, rooms) {
			continue
		}
		for _, r := range rooms {
			i.probeEdge(ctx, quota.Edge{Below: m, Above: r.Metric}, r, rooms, &probes)
		}
	}
}

// probeEdge finds out whether p.Below lies below p.Above, if that is open. Where other limits could be the reason
// for a denial, it finds out first what p.Above has to do with them.
func (i *inquiry) probeEdge(ctx context.Context, p quota.Edge, r quota.Headroom, rooms []quota.Headroom, probes *int) {
	if !i.service.Open(p, time.Now()) {
		return
	}
	told := i.probe(ctx, p, r.Left, probes)
	for _, other := range rooms {
		if q := (quota.Edge{Below: p.Above, Above: other.Metric}); !told && i.service.Open(q, time.Now()) {
			i.probe(ctx, q, other.Left, probes)
		}
	}
	if !told && !i.probe(ctx, p, r.Left, probes) {
		i.service.InferOpen(p, time.Now())
	}
}

// limited reports whether a metric is known to weigh on a limit.
func limited(m *quota.Metric, rooms []quota.Headroom) bool {
	return slices.ContainsFunc(rooms, func(r quota.Headroom) bool { return m.Under(r.Metric) })
}

// hint takes what the limit headers of a call for one of m tell, when nothing else is known of it: whether a
// limit applies at all, and which is the tightest (backend.md, section 7).
func (i *inquiry) hint(m *quota.Metric, rooms []quota.Headroom, h threescale.LimitHeaders) {
	now := time.Now()
	if !h.Present || limited(m, rooms) {
		return
	}
	if h.Remaining < 0 {
		for _, r := range rooms {
			i.service.InferApart(quota.Edge{Below: m, Above: r.Metric}, now)
		}
		return
	}
	same := slices.DeleteFunc(slices.Clone(rooms), func(r quota.Headroom) bool { return max(0, r.Left) != h.Remaining })
	if len(same) == 1 && i.service.Possible(quota.Edge{Below: m, Above: same[0].Metric}, now) {
		quota.Edge{Below: m, Above: same[0].Metric}.SetParent()
	}
}

// probe asks whether p.Below lies below p.Above, of which so much is left, and reports whether that could be told.
func (i *inquiry) probe(ctx context.Context, p quota.Edge, left int64, probes *int) bool {
	now := time.Now()
	if left > threescale.MaxValue {
		i.service.InferApart(p, now) // no counter reaches that value
		return true
	}
	q := i.call.question([]string{p.Below.Name()})
	if left >= 0 {
		q.Usage = append(q.Usage, threescale.Increment{Metric: p.Above.Name(), Value: uint64(left)})
	}
	if *probes--; *probes < 0 {
		return false
	}
	one, err := i.send(ctx, q)
	if err != nil || !isAnswer(one) || one.Verdict == nil {
		return false
	}
	rooms := i.service.Headrooms(one.Verdict)
	at := slices.IndexFunc(rooms, func(r quota.Headroom) bool { return r.Metric == p.Above })
	switch {
	case at < 0 || rooms[at].Left != left: // the counter moved since it was read
	case one.Status == http.StatusOK:
		i.service.InferApart(p, now)
		return true
	case rejection(one) == threescale.CodeLimitsExceeded && i.onlyReason(p, left, rooms, now):
		return i.service.Join(p, now)
	}
	return false
}

// onlyReason reports whether no other limit can have denied a probe, for every possible hierarchy.
func (i *inquiry) onlyReason(p quota.Edge, left int64, rooms []quota.Headroom, now time.Time) bool {
	may := func(m, above *quota.Metric) bool {
		return m.Under(above) || i.service.Possible(quota.Edge{Below: m, Above: above}, now)
	}
	for _, r := range rooms {
		if r.Metric == p.Above {
			continue
		}
		most := int64(0)
		if may(p.Below, r.Metric) {
			most++
		}
		if left > 0 && may(p.Above, r.Metric) {
			most += left
		}
		if most > 0 && r.Left < most {
			return false
		}
	}
	return true
}
