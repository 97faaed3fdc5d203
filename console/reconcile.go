package console

// verdicts have a series from the start, so that an alert sees the first increase.
var verdicts = []string{"match", "covers", "open", "settling", "suspect", "short", "over", "unverifiable", "mutated"}

// agreements of 3scale's counts with receipts.
var agreements = []string{"confirmed", "explained", "differs"}

// reconciliations are the metric families of the comparison with 3scale's counts; absent without one.
var reconciliations = []family{
	{kind: gauge, name: "reporterd_reconcile_cells", label: "verdict",
		help: "Cells (service, application, metric, hour) of the last comparison with 3scale's counts, by verdict. Absent without portal and ledger.",
		each: func(s *Snapshot, put func(string, float64)) {
			if s.Reconcile != nil {
				for _, v := range verdicts {
					put(v, float64(s.Reconcile.Cells[v]))
				}
			}
		}},
	{kind: gauge, name: "reporterd_reconcile_receipt_cells", label: "agreement",
		help: "Cells of services with receipts in the last comparison, by what receipts showed: confirmed, explained by reports that receipts named, or differs. Absent without portal and ledger.",
		each: func(s *Snapshot, put func(string, float64)) {
			if s.Reconcile != nil {
				for _, a := range agreements {
					put(a, float64(s.Reconcile.Receipts[a]))
				}
			}
		}},
	{kind: gauge, name: "reporterd_reconcile_missing_units", help: "Usage that 3scale accepted and has not counted, of hours that are final.",
		series: reconciled(func(r *Reconcile) float64 { return float64(r.Missing) })},
	{kind: gauge, name: "reporterd_reconcile_excess_units", help: "Usage that 3scale has counted beyond what was delivered, of services without other reporters.",
		series: reconciled(func(r *Reconcile) float64 { return float64(r.Excess) })},
	{kind: gauge, name: "reporterd_reconcile_stopped", help: "1 while 3scale's counts cannot be read.",
		series: reconciled(func(r *Reconcile) float64 { return one(r.Stopped) })},
	{kind: counter, name: "reporterd_reconcile_runs_total", help: "Completed comparisons.",
		series: reconciled(func(r *Reconcile) float64 { return float64(r.Runs) })},
	{kind: counter, name: "reporterd_reconcile_failed_total", help: "Failed comparisons.",
		series: reconciled(func(r *Reconcile) float64 { return float64(r.Failed) })},
	{kind: counter, name: "reporterd_portal_requests_total", help: "Calls of 3scale's admin portal.",
		series: reconciled(func(r *Reconcile) float64 { return float64(r.Calls) })},
	{kind: gauge, name: "reporterd_portal_clock_skew_seconds", help: "How far the portal's clock is ahead of ours.",
		series: reconciled(func(r *Reconcile) float64 { return r.Skew })},
	{kind: gauge, name: "reporterd_reconcile_sealed_through_timestamp_seconds", help: "Hours before this one are final, Unix seconds. Absent before the first comparison.",
		series: func(s *Snapshot, put func(float64, ...string)) {
			if s.Reconcile != nil {
				putTime(s.Reconcile.SealedThrough, put)
			}
		}},
	{kind: gauge, name: "reporterd_reconcile_observed_timestamp_seconds", help: "When the last comparison was made, Unix seconds. Absent before the first.",
		series: func(s *Snapshot, put func(float64, ...string)) {
			if s.Reconcile != nil {
				putTime(s.Reconcile.ObservedAt, put)
			}
		}},
}

func reconciled(value func(*Reconcile) float64) func(*Snapshot, func(float64, ...string)) {
	return func(s *Snapshot, put func(float64, ...string)) {
		if s.Reconcile != nil {
			put(value(s.Reconcile))
		}
	}
}
