package console

import (
	"time"

	"github.com/reporterd/reporterd/internal/histogram"
)

// Snapshot is the state of the daemon at one moment: figures that the parts count and the console publishes, as JSON and as
// metrics.
type Snapshot struct {
	Events  Events
	Spool   Spool
	Commits Commits
	Window  Window
	Reports Reports

	Receipts Receipts
	Proof    Proof
	Reload   Reload
	Lanes    []Lane
	Traffic  []Traffic
	Held     Held
	Latest   Latest

	Strangers Strangers

	Services []Service // configured, in the order of the file
	Others   Ended     // of services that are not configured

	NATS        NATS
	Authorize   Authorize
	Cluster     *Cluster // nil: a single machine
	Ledger      *Ledger  // nil: no ledger
	Connections Connections
	Reconcile   *Reconcile // nil: no comparison
	Gate        *Gate      // nil: no listener for proxies
	Sources     Sources
}

// Ledger is the progress of the ledger.
type Ledger struct {
	Booked   uint64 // events of batches, since the start
	Behind   uint64 // records of the batch log that are not booked yet
	Bytes    int64
	Missed   bool   // some usage is missing from its figures
	Stopped  bool   // it cannot be written now
	GivenUp  uint64 // days deleted for its size, since the start
	SetAside uint64 // transactions it could not book, since the start
	Earliest int64  // the first day in it, Unix seconds; 0: none

	Usage []MetricUsage // booked as delivered, since the start
}

// MetricUsage is usage of a metric of a service, in units of the metric.
type MetricUsage struct {
	ServiceID, Metric string // no metric: of those that are too many to be named
	Units             uint64
}

// Reconcile is the comparison of the ledger with 3scale's counts.
type Reconcile struct {
	Runs, Failed  uint64
	Stopped       bool
	Calls         uint64
	Cells         map[string]int // by verdict, of the last run
	Receipts      map[string]int // the same, of services with receipts: by what these showed
	Missing       int64
	Excess        int64
	SealedThrough int64 // Unix seconds; 0: no comparison yet
	ObservedAt    int64
	Skew          float64 // seconds
}

// Connections are those of the traffic listener.
type Connections struct {
	Open    int
	Crowded uint64 // closed for limits.max_connections
	Refused uint64 // of addresses with too many
}

// Cluster is the state of this replica in the cluster.
type Cluster struct {
	Partitions int
	Owned      int    // by this replica
	Unowned    int    // without a known owner
	Replicas   int    // known ones, including this one
	Taken      uint64 // partitions taken over since the start
	Spare      uint64 // authorizations answered without the partition's owner, not counting usage that is not reported yet

	Parts []ClusterPart // of the whole cluster, in order; nil: the other figures are of this replica
}

// ClusterPart is a partition and its events, which balance in themselves.
type ClusterPart struct {
	Partition int
	Owner     string // host name and id of the replica that has it; empty: no replica answers for it now
	Events    Events
	At        time.Time // without an owner: when an owner told the figures last; zero: never since this replica joined
}

// Events accounts for every event since the data directory was made, across restarts. In one snapshot
// Accepted = Delivered + Dead + Pending + Lost.
type Events struct {
	Accepted   uint64 `json:"accepted"`
	Duplicates uint64 `json:"duplicates"` // acknowledged as duplicates by their id; not in Accepted
	Delivered  uint64 `json:"delivered"`
	Dead       uint64 `json:"dead"`      // kept as dead letters
	Pending    uint64 `json:"pending"`   // on disk, not delivered yet
	Ambiguous  uint64 `json:"ambiguous"` // in reports whose outcome was unknown, once for each such report
	Lost       uint64 `json:"lost"`      // lost to a damaged disk
}

// Latest are the latest timestamps of events since the daemon started, Unix seconds; 0: none yet.
type Latest struct{ Accepted, Delivered int64 }

// Held is the memory of bodies that are being read and written.
type Held struct{ Bytes, Limit int64 }

// Spool is the state of the data directory.
type Spool struct {
	Bytes       int64
	Quota       int64
	Free        int64 // bytes that can still be accepted: the smaller of what is left of the quota and of the disk above min_free_bytes
	Quarantined int64 // bytes in quarantine
	Replaced    int   // data directories that are not the ones that were opened: no event is accepted there
	Unkept      int   // manifests that cannot be written
	Batches     int   // sealed and not resolved
	Segments    int
	OldestAge   time.Duration // of pending events; 0: none
	DeadLetters int
	IDs         int                // event ids remembered
	Sync        string             // the mode in effect
	Fsyncs      histogram.Snapshot // seconds, of all logs, since the daemon started
	ReadErrors  map[string]uint64  // files that could not be opened or read since the daemon started, by log
	Unreadable  bool               // something cannot be read now
}

// Commits are the journal's group commits since the daemon started.
type Commits struct {
	Groups, Events, Bytes uint64
	Failed                uint64 // groups refused because the disk failed

	Waits histogram.Snapshot // seconds until a group was durable
	Sizes histogram.Snapshot // events of a group
}

// Window describes what is being aggregated: accepted, durable, not yet sealed.
type Window struct {
	Transactions int
	Events       uint64
	Cuts         uint64        // since the daemon started
	Batches      uint64        // sealed by the cuts
	LastCut      time.Duration // how long the last one took

	Times, Ages histogram.Snapshot // seconds: of cuts, and how long the first event had waited
	Fill        Fill
}

// Fill says how full sealed batches were, as fractions of the three caps.
type Fill struct{ Transactions, Params, Bytes histogram.Snapshot }

// Reports are the calls to the backend since the daemon started.
type Reports struct {
	Calls        uint64
	Transactions uint64 // delivered
	InFlight     int
	Verdicts     map[string]uint64 // attempts by verdict
	Answers      []Answers
	Seconds      histogram.Snapshot // of a call
	Saturated    time.Duration      // time during which the maximum number was in flight
	Dead         map[string]Buried  // dead letters by reason; the reasons are bounded
	Clock        Clock

	Limit       int    // how many may be in flight, adapted to the backend
	BreakerOpen bool   // the backend is unavailable: one call at a time
	Alone       uint64 // of a single application that 3scale had not confirmed lately

	Restamped, RestampedEvents uint64 // transactions and events delivered with the time of the attempt
}

// Answers is the number of calls with a status and a verdict. The number of statuses is limited.
type Answers struct {
	Verdict, Status string
	Calls           uint64
}

// Buried is the number of transactions and events that became dead letters.
type Buried struct{ Transactions, Events uint64 }

// Proof describes what the backend has confirmed.
type Proof struct {
	Known         int    // applications and metrics remembered
	Waiting       int    // probes queued or in progress
	Asked, Failed uint64 // probes since the daemon started, and those without an answer
}

// Lane is the queue of one service with one set of credentials, or the sum over several of them in one state.
type Lane struct {
	Lanes     int `json:",omitempty"` // of which it is the sum; 0: it is one, and named
	ServiceID string
	PassedOn  bool   // with credentials that the reporter sent, not with configured ones
	State     string // flowing, retrying, held, draining or parked
	Batches   int
	Events    uint64
	OldestAge time.Duration
	LastError string // never contains a secret; empty after a success

	Questioned   int           // batches that wait for proof of their applications and metrics
	Probation    time.Duration // for how long the first of them has waited
	Parked       int           // batches with an unknown outcome, kept until an operator decides
	ParkedEvents uint64
}

// count is how many lanes it stands for.
func (l *Lane) count() int { return max(l.Lanes, 1) }

// Strangers is undelivered usage with credentials that reporters sent, which are not configured.
type Strangers struct {
	Lanes   int
	Bytes   int64  // in batches
	Refused uint64 // requests beyond the limits of such usage, since the start
}

func (s Strangers) plus(o Strangers) Strangers {
	return Strangers{s.Lanes + o.Lanes, s.Bytes + o.Bytes, s.Refused + o.Refused}
}

// Traffic contains the requests of producers by one transport since the daemon started.
type Traffic struct {
	Transport string         // events or report
	Requests  map[int]uint64 // by status of the answer
	Events    uint64
	Bytes     uint64
}

// Authorize contains the figures of authorizations since the daemon started.
type Authorize struct {
	Answers map[string]uint64 // by source: cache, backend, stale, mode
	Granted uint64
	Denied  map[string]uint64 // by code

	Calls        histogram.Snapshot // of the backend, seconds
	Failures     uint64             // of them, without an answer of its own
	RefreshAhead uint64

	Entries, Denials int // in the cache
	Bytes            int64
	Evicted          uint64
	Applications     int // whose usage is tracked
	Unresolved       int // of them, under names that 3scale has not explained
	Untracked        uint64

	Reported, Refused, Unbilled uint64 // authreps by the outcome of their usage

	Overshoot int64
	Unseen    int64         // the most usage of other reporters that one answer showed
	Behind    int64         // the most delivered usage that a counter of the backend lacked, since the last scrape
	Forgotten uint64        // applications whose delivered usage was dropped from memory before the backend showed it
	OldestAge time.Duration // of an answer served since the last scrape
}
