package reconcile

import (
	"time"

	"github.com/reporterd/reporterd/ledger"
)

// Verdict is the result of comparing a cell.
type Verdict string

// The verdicts. Those of cells that are not sealed may still change.
const (
	Open         Verdict = "open"         // its hour has not ended, or some of its usage is pending
	Settling     Verdict = "settling"     // less is counted than was delivered, and more may follow
	Suspect      Verdict = "suspect"      // the same, although usage delivered much later is already counted
	Match        Verdict = "match"        // as much as was delivered, including reports with an unknown outcome that landed
	Short        Verdict = "short"        // sealed, and less is counted than was delivered
	Over         Verdict = "over"         // more is counted than was delivered, and this daemon is the only reporter
	Covers       Verdict = "covers"       // at least what was delivered is counted; other reporters report here as well
	Unverifiable Verdict = "unverifiable" // it cannot be determined, for the given reason
	Mutated      Verdict = "mutated"      // 3scale's count of a sealed cell has changed
)

// Difference reports whether an operator has to investigate.
func (v Verdict) Difference() bool { return v == Short || v == Over || v == Mutated }

// Settled reports whether the counts agree.
func (v Verdict) Settled() bool { return v == Match || v == Covers }

// Fate is the outcome of a batch, as far as the counts show it.
type Fate string

// The fates.
const (
	Dropped   Fate = "dropped"    // accepted with 202, and not counted
	Landed    Fate = "landed"     // counted, although the answer was lost
	NotLanded Fate = "not landed" // not counted
	Once      Fate = "once"       // delivered, and the report with an unknown outcome was not counted in addition
	Twice     Fate = "twice"      // counted more than once
	Possible  Fate = "possible"   // one of several explanations
)

// Evidence is a batch that explains a cell.
type Evidence struct {
	Batch string `json:"batch"`
	Fate  Fate   `json:"fate"`
	Final bool   `json:"final"`
}

// Cell is the result of a cell. AppID is empty for all applications of the service together.
type Cell struct {
	ServiceID  string     `json:"service_id"`
	Hour       time.Time  `json:"hour"`
	AppID      string     `json:"app_id"`
	Metric     string     `json:"metric"`
	Delivered  int64      `json:"delivered"`
	Ambiguous  int64      `json:"ambiguous"`
	Pending    int64      `json:"pending"`
	Counted    int64      `json:"counted"`
	Delta      int64      `json:"delta"` // counted minus delivered
	Verdict    Verdict    `json:"verdict"`
	Final      bool       `json:"final"`
	Reason     string     `json:"reason,omitempty"`
	Evidence   []Evidence `json:"evidence,omitempty"`
	ObservedAt time.Time  `json:"observed_at"`
	SealedAt   time.Time  `json:"sealed_at"`

	// Of Delivered, what is in reports that 3scale did not count whole and once, as their receipts showed; and whether that agrees.
	Partial     int64     `json:"partial,omitempty"`
	Double      int64     `json:"double,omitempty"`
	Unconfirmed int64     `json:"unconfirmed,omitempty"`
	Receipts    Agreement `json:"receipts,omitempty"`
}

// place identifies a cell of one service.
type place struct {
	app, metric string
	hour        int64
}

// Books contains both sides of one service: the ledger's and 3scale's.
type Books struct {
	ServiceID  string
	Parents    map[string]string // of methods, from the portal
	Rows       []ledger.Row      // by hour, as reported: methods are not added to their parents
	Batches    []ledger.BatchRecord
	Counted    map[string]map[int64]int64            // by metric and hour: of the service
	Apps       map[string]map[string]map[int64]int64 // by application, metric and hour: of those that were requested
	Unknown    map[string]string                     // why an application or a metric could not be requested
	ObservedAt time.Time
}

// Rules determine the verdicts.
type Rules struct {
	Exclusive bool          // this daemon is the only reporter of the service
	Witness   string        // a metric that only this daemon reports, with the value 1 for each event; empty: none
	Seal      time.Duration // time after the end of the hour after which nothing is counted any more
	Quiet     time.Duration // time after which missing usage is suspect
	Receipts  []string      // the services whose reports carry receipts
}

// DefaultSeal is the day for which the backend accepts usage, and a quarter of an hour for clocks and queues.
const (
	DefaultSeal  = 24*time.Hour + 15*time.Minute
	DefaultQuiet = 30 * time.Minute
)

// up calls each with a metric and all its parents.
func up(parents map[string]string, metric string, each func(string)) {
	for steps := 0; metric != "" && steps < 32; steps++ { // the limit ends a cycle
		each(metric)
		metric = parents[metric]
	}
}
