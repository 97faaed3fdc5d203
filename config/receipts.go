package config

import "fmt"

// Receipts are the applications and metrics in 3scale by which reporterd finds out what was counted. They exist for
// nothing else, and for one daemon, or one cluster.
type Receipts struct {
	// The names that `reporterd receipts setup` gives: `reporterd-first`, `reporterd-second`, `reporterd-third`,
	// `reporterd-last`, and the metrics `reporterd_r0` to `reporterd_r15`. Then no other name is given.
	Auto bool `key:"auto"`
	// The application that stands first in a report.
	First string `key:"first"`
	// The application that stands at the 401st place of a report. Without it and `third`, reports have 398 transactions at most.
	Second string `key:"second"`
	// The application that stands at the 801st place of a report.
	Third string `key:"third"`
	// The application that stands last in a report.
	Last string `key:"last"`
	// The names are user keys, on a service whose applications are called by user key.
	UserKeys bool `key:"user_keys"`
	// System names of top-level metrics on which each of these applications has a limit for eternity of 4611686018427387904.
	// Each holds 16 reports whose outcome is open.
	Metrics []string `key:"metrics"`
}

// On reports whether there are receipts.
func (r *Receipts) On() bool { return r.First != "" && r.Last != "" && len(r.Metrics) > 0 }

// maxReceiptMetrics bounds the receipt metrics of a service: each is read with every reading.
const maxReceiptMetrics = 64

// ReceiptNames are the names of `auto`: applications by their place, and metrics.
func ReceiptNames() (applications, metrics []string) {
	for n := range 16 {
		metrics = append(metrics, fmt.Sprintf("reporterd_r%d", n))
	}
	return []string{"reporterd-first", "reporterd-second", "reporterd-third", "reporterd-last"}, metrics
}

// fill gives the names of auto.
func (r *Receipts) fill() {
	applications, metrics := ReceiptNames()
	r.First, r.Second, r.Third, r.Last, r.Metrics = applications[0], applications[1], applications[2], applications[3], metrics
}

func (r *Receipts) check(found *problems, key string) {
	applications := []struct{ name, value string }{{"first", r.First}, {"second", r.Second}, {"third", r.Third}, {"last", r.Last}}
	seen := map[string]string{}
	for _, a := range applications {
		k := key + "." + a.name
		switch other, twice := seen[a.value]; {
		case a.value == "" || found.has(k):
		case !isName(a.value):
			found.add(k, nil, "expected text of at most %d bytes, without white space at its ends", maxID)
		case twice:
			found.add(k, nil, "expected an application of its own: %s has the same", other)
		}
		seen[a.value] = a.name
	}
	metrics := map[string]bool{}
	for j, m := range r.Metrics {
		if k := fmt.Sprintf("%s.metrics[%d]", key, j); !found.has(k) && (!isName(m) || metrics[m]) {
			found.add(k, m, "expected the system name of a metric, once")
		}
		metrics[m] = true
	}
	given := r.First != "" || r.Second != "" || r.Third != "" || r.Last != "" || len(r.Metrics) > 0
	switch {
	case r.Auto && given:
		found.add(key+".auto", nil, "expected no other names beside it")
	case r.Auto:
		r.fill()
	case found.has(key) || !given:
	case !r.On():
		found.add(key, nil, "expected first, last and metrics")
	case r.Second == "" && r.Third != "":
		found.add(key+".second", nil, "expected an application, since third is given")
	case len(r.Metrics) > maxReceiptMetrics:
		found.add(key+".metrics", nil, "expected at most %d metrics", maxReceiptMetrics)
	}
}
