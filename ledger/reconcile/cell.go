package reconcile

import (
	"time"

	"github.com/reporterd/reporterd/ledger"
)

// Verdict is what is said of a cell.
type Verdict string

// The verdicts. Those of cells that are not sealed yet may still change.
const (
	Open         Verdict = "open"         // its hour has not ended, or usage of it is still on its way
	Settling     Verdict = "settling"     // less is counted than was delivered, and more may come
	Suspect      Verdict = "suspect"      // the same, and what was delivered long after is counted already
	Match        Verdict = "match"        // as much as was delivered, and reports with an unknown outcome that landed
	Short        Verdict = "short"        // sealed, and less than was delivered
	Over         Verdict = "over"         // more than was delivered, and this daemon is the only reporter
	Covers       Verdict = "covers"       // at least what was delivered; other reporters report here, too
	Unverifiable Verdict = "unverifiable" // it cannot be known, for the reason given
	Mutated      Verdict = "mutated"      // 3scale's count of a sealed cell has changed
)

// Difference reports whether an operator has to look into it.
func (v Verdict) Difference() bool { return v == Short || v == Over || v == Mutated }

// Settled reports whether all is well.
func (v Verdict) Settled() bool { return v == Match || v == Covers }

// Fate is what became of a batch, as far as counts tell.
type Fate string

// The fates.
const (
	Dropped   Fate = "dropped"    // taken with 202, and not counted
	Landed    Fate = "landed"     // counted, although the answer was lost
	NotLanded Fate = "not landed" // not counted
	Once      Fate = "once"       // delivered, and the report of unknown outcome was not counted besides
	Twice     Fate = "twice"      // counted more than once
	Possible  Fate = "possible"   // one of several explanations
)

// Evidence is a batch that explains a cell.
type Evidence struct {
	Batch string `json:"batch"`
	Fate  Fate   `json:"fate"`
	Final bool   `json:"final"`
}

// Cell is what is known of one cell. AppID is empty for all applications of the service together.
type Cell struct {
	ServiceID  string     `json:"service_id"`
	Hour       time.Time  `json:"hour"`
	AppID      string     `json:"app_id"`
	Metric     string     `json:"metric"`
	Delivered  int64      `json:"delivered"`
	Ambiguous  int64      `json:"ambiguous"`
	Pending    int64      `json:"pending"`
	Counted    int64      `json:"counted"`
	Delta      int64      `json:"delta"` // counted less delivered
	Verdict    Verdict    `json:"verdict"`
	Final      bool       `json:"final"`
	Reason     string     `json:"reason,omitempty"`
	Evidence   []Evidence `json:"evidence,omitempty"`
	ObservedAt time.Time  `json:"observed_at"`
	SealedAt   time.Time  `json:"sealed_at"`
}

// place names a cell of one service.
type place struct {
	app, metric string
	hour        int64
}

// Books are both sides of one service.
type Books struct {
	ServiceID  string
	Parents    map[string]string // of methods, as the portal tells
	Rows       []ledger.Row      // by hour, as reported: not added up
	Batches    []ledger.BatchRecord
	Counted    map[string]map[int64]int64            // by metric and hour: of the service
	Apps       map[string]map[string]map[int64]int64 // by application, metric and hour: of those that were asked for
	Unknown    map[string]string                     // why an application or a metric could not be asked for
	ObservedAt time.Time
}

// Rules are how it is judged.
type Rules struct {
	Exclusive bool          // this daemon is the only reporter of the service
	Witness   string        // a metric that only this daemon reports, with one for each event; empty: there is none
	Seal      time.Duration // after the end of the hour; nothing can come any more
	Quiet     time.Duration // after which what is missing is suspect
}

// DefaultSeal is the day that the backend takes usage for, and a quarter of an hour for clocks and queues.
const (
	DefaultSeal  = 24*time.Hour + 15*time.Minute
	DefaultQuiet = 30 * time.Minute
)

// up calls each with a metric and all its parents.
func up(parents map[string]string, metric string, each func(string)) {
	for steps := 0; metric != "" && steps < 32; steps++ { // a circle has no end
		each(metric)
		metric = parents[metric]
	}
}
