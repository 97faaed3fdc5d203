package sandbox

import (
	"net/http"
	"strconv"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// current is the value of a limit's counter as the answer shows it: the stored one, and on an authorized
// authrep what this call adds, descendants included (recording limits-authrep-9-of-10).
func (d *decision) current(l limit) uint64 {
	stored := d.counters.value(l.metric, l.period, d.now)
	if d.authrep && d.denial == nil {
		return d.service.metrics.below(l.metric, d.asked, stored)
	}
	return stored
}

// setLimitHeaders adds the 3scale-limit-* headers: how many more identical calls fit.
func (d *decision) setLimitHeaders(h http.Header) {
	kept, calls := d.tightest()
	if calls < 0 {
		h.Set("3scale-Limit-Remaining", "-1")
		h.Set("3scale-Limit-Reset", "-1")
		return
	}
	h.Set("3scale-Limit-Remaining", strconv.FormatInt(calls, 10))
	h.Set("3scale-Limit-Reset", strconv.FormatInt(d.reset(kept), 10))
	h.Set("3scale-Limit-Max-Value", strconv.FormatUint(kept.maximum, 10))
}

// tightest chooses the limit the headers speak of; -1 calls when they say nothing. -1 counts as lower
// than 0, which is why a metric with usage 0 hides the limit of another (recording
// auth-limit-headers-zero-second-metric).
func (d *decision) tightest() (kept limit, calls int64) {
	calls = -1
	first := true
	for _, l := range d.limits() {
		if !d.candidate(l.metric) {
			continue
		}
		n := d.fitting(l)
		longer := n == calls && l.period < kept.period
		if first || longer || calls == -1 && n != -1 || n < calls {
			kept, calls, first = l, n, false
		}
	}
	return kept, calls
}

// candidate reports whether a metric was asked for, itself or through a descendant; all are when the call
// has no usage.
func (d *decision) candidate(m int) bool {
	if len(d.asked) == 0 {
		return true
	}
	for _, a := range d.asked {
		for at := a.metric; at >= 0; at = d.service.metrics.metrics[at].parent {
			if at == m {
				return true
			}
		}
	}
	return false
}

// fitting is how many more calls like this one fit into a limit, or -1 when it uses nothing of it.
func (d *decision) fitting(l limit) int64 {
	current := d.current(l)
	if current >= l.maximum {
		return 0
	}
	if each := d.service.metrics.below(l.metric, d.asked, 0); each > 0 {
		return int64((l.maximum - current) / each)
	}
	return -1
}

// reset is the seconds until a limit's period ends, rounded up; -1 for eternity.
func (d *decision) reset(l limit) int64 {
	if l.period == threescale.Eternity {
		return -1
	}
	left := l.period.End(d.now).Sub(d.now)
	return int64((left + time.Second - 1) / time.Second)
}
