package console

import (
	"cmp"
	"slices"
	"time"

	"github.com/reporterd/reporterd/internal/histogram"
)

// Receipts is what receipts showed of the reports of services that have some, since the start.
type Receipts struct {
	On      bool              // a service has receipts
	Reports map[string]uint64 // by end: counted, dropped, partial, double, unconfirmed
	Events  map[string]uint64 // in them
	Open    int               // reports that wait for their receipts
	Late    uint64            // reports that were counted once more after their end
	Reads   uint64            // authorize calls
	Absent  []string          // services whose receipt applications or metrics are gone

	Seconds histogram.Snapshot // from a report's latest attempt until its receipts showed that it was counted
	Named   []NamedReport      // the latest reports that were not counted whole and once, the newest first
}

// NamedReport is a report that 3scale did not count whole and once, or of which that cannot be found out.
type NamedReport struct {
	Batch     string    `json:"batch"`
	ServiceID string    `json:"service_id"`
	End       string    `json:"end"`    // partial, double or unconfirmed
	Late      bool      `json:"late"`   // it was counted once more after its end was known
	Slices    []string  `json:"slices"` // of 400 transactions: counted, missing, begun or doubled
	Events    uint64    `json:"events"`
	Sent      time.Time `json:"sent"`
}

// mostNamed is how many of them the status shows.
const mostNamed = 20

// receiptEnds are the ends of a report with a receipt. Every one has a value, so that an alert has something to compare.
var receiptEnds = []string{"counted", "dropped", "partial", "double", "unconfirmed"}

var receiptFamilies = []family{
	{kind: counter, name: "reporterd_receipt_reports_total", label: "end",
		help: "Reports by what their receipts showed: counted, dropped (nothing was counted, sent again), partial, double, or unconfirmed (booked as delivered).",
		each: func(s *Snapshot, put func(string, float64)) {
			for _, end := range receiptEnds {
				put(end, float64(s.Receipts.Reports[end]))
			}
		}},
	{kind: counter, name: "reporterd_receipt_events_total", help: "Events in reports by what their receipts showed.", label: "end",
		each: func(s *Snapshot, put func(string, float64)) {
			for _, end := range receiptEnds {
				put(end, float64(s.Receipts.Events[end]))
			}
		}},
	{kind: gauge, name: "reporterd_receipt_open_reports", help: "Reports that 3scale accepted, or may have, and that wait for their receipts.",
		value: func(s *Snapshot) float64 { return float64(s.Receipts.Open) }},
	{kind: counter, name: "reporterd_receipt_late_total", help: "Reports that were counted once more after their end was known.",
		value: func(s *Snapshot) float64 { return float64(s.Receipts.Late) }},
	{kind: counter, name: "reporterd_receipt_reads_total", help: "Authorize calls that read receipts.",
		value: func(s *Snapshot) float64 { return float64(s.Receipts.Reads) }},
	{name: "reporterd_receipt_seconds", help: "How long after its latest attempt a report was known to be counted.",
		histogram: func(s *Snapshot) histogram.Snapshot { return s.Receipts.Seconds }},
	{kind: gauge, name: "reporterd_receipt_absent_services", help: "Services whose receipt applications or metrics are gone: delivered means accepted there.",
		value: func(s *Snapshot) float64 { return float64(len(s.Receipts.Absent)) }},
}

func (r Receipts) plus(o Receipts) Receipts {
	absent := slices.Concat(r.Absent, o.Absent)
	slices.Sort(absent)
	return Receipts{
		On: r.On || o.On, Reports: added(r.Reports, o.Reports), Events: added(r.Events, o.Events), Open: r.Open + o.Open,
		Late: r.Late + o.Late, Reads: r.Reads + o.Reads, Absent: slices.Compact(absent),
		Seconds: r.Seconds.Plus(o.Seconds), Named: newest(slices.Concat(r.Named, o.Named)),
	}
}

func newest(all []NamedReport) []NamedReport {
	slices.SortStableFunc(all, func(a, b NamedReport) int { return cmp.Or(b.Sent.Compare(a.Sent), cmp.Compare(b.Batch, a.Batch)) })
	return all[:min(len(all), mostNamed)]
}

// StatusReceipts are what the status says of receipts; nil: no service has any, and delivered means accepted.
type StatusReceipts struct {
	Open    int               `json:"open_reports"`
	Reports map[string]uint64 `json:"reports"` // by end, since the start
	Events  map[string]uint64 `json:"events"`
	Late    uint64            `json:"late_reports"`
	Absent  []string          `json:"absent_services"`
	Named   []NamedReport     `json:"named"` // the latest 20 that were not counted whole and once, the newest first
}

func (r Receipts) page() *StatusReceipts {
	if !r.On {
		return nil
	}
	p := &StatusReceipts{Open: r.Open, Late: r.Late, Absent: append([]string{}, r.Absent...), Named: append([]NamedReport{}, r.Named...), Reports: map[string]uint64{}, Events: map[string]uint64{}}
	for _, end := range receiptEnds {
		p.Reports[end], p.Events[end] = r.Reports[end], r.Events[end]
	}
	return p
}
