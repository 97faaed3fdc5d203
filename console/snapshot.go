package console

import (
	"time"

	"github.com/reporterd/reporterd/internal/histogram"
)

// Snapshot is what the daemon looks like at one moment: plain figures that the parts count and the
// console publishes, as JSON and as metrics.
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

	Services []Service // configured, in the order of the file
	Others   Ended     // of services that are not

	NATS        NATS
	Authorize   Authorize
	Cluster     *Cluster // nil: this daemon has a spool of its own
	Ledger      *Ledger  // nil: there is none
	Connections Connections
	Reconcile   *Reconcile // nil: nobody asks 3scale what it counted
}

// Ledger is how far the ledger is.
type Ledger struct {
	Booked   uint64 // things that happened to batches, since the start
	Behind   uint64 // records of the batch log that are not booked yet
	Bytes    int64
	Missed   bool   // its figures may be less than what happened
	Stopped  bool   // it cannot be written at the moment
	GivenUp  uint64 // days, for its size, since the start
	SetAside uint64 // transactions it could not book, since the start
	Earliest int64  // the first day that is kept, Unix seconds; 0: none
}

// Reconcile is what the ledger looks like beside 3scale's counts.
type Reconcile struct {
	Runs, Failed  uint64
	Stopped       bool
	Calls         uint64
	Cells         map[string]int // by verdict, of the last run
	Missing       int64
	Excess        int64
	SealedThrough int64 // Unix seconds; 0: nothing was compared yet
	ObservedAt    int64
	Skew          float64 // seconds
}

// Connections are those of the traffic listener.
type Connections struct {
	Open    int
	Crowded uint64 // closed to make room
	Refused uint64 // of addresses that had enough
}

// Cluster is this replica among others that share a spool.
type Cluster struct {
	Partitions int
	Owned      int    // by this replica
	Unowned    int    // by nobody that is heard of
	Replicas   int    // that are heard of, this one included
	Taken      uint64 // partitions taken over since the start
	Spare      uint64 // authorizations answered without the partition's owner, and what is not reported yet
}

// Events accounts for every event since the data directory was made, across restarts. In one snapshot
// Accepted = Delivered + Dead + Pending + Lost.
type Events struct {
	Accepted   uint64 `json:"accepted"`
	Duplicates uint64 `json:"duplicates"` // acknowledged as already known by their id; not in Accepted
	Delivered  uint64 `json:"delivered"`
	Dead       uint64 `json:"dead"`      // kept as dead letters
	Pending    uint64 `json:"pending"`   // on disk, on their way
	Ambiguous  uint64 `json:"ambiguous"` // in reports whose outcome was unknown, once for each such report
	Lost       uint64 `json:"lost"`      // taken by a damaged disk
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
	Quarantined int64 // bytes set aside as damaged
	Replaced    int   // data directories that are not the ones that were opened: nothing is accepted there
	Unkept      int   // manifests that cannot be written
	Batches     int   // sealed and not resolved
	Segments    int
	OldestAge   time.Duration // of what is pending; 0: nothing is
	DeadLetters int
	IDs         int                // event ids remembered
	Sync        string             // the mode in force
	Fsyncs      histogram.Snapshot // seconds, of all logs, since the daemon started
	ReadErrors  map[string]uint64  // files that could not be opened or read since the daemon started, by log
	Unreadable  bool               // something cannot be read at the moment
}

// Commits are the journal's group commits since the daemon started.
type Commits struct {
	Groups, Events, Bytes uint64
	Failed                uint64 // groups refused because the disk failed

	Waits histogram.Snapshot // seconds until a group was durable
	Sizes histogram.Snapshot // events of a group
}

// Window is what is being aggregated: accepted, durable, not yet sealed.
type Window struct {
	Transactions int
	Events       uint64
	Cuts         uint64        // since the daemon started
	Batches      uint64        // sealed by them
	LastCut      time.Duration // how long the last one took

	Times, Ages histogram.Snapshot // seconds: of cuts, and how long the first event had waited
	Fill        Fill
}

// Fill is how full sealed batches were, as parts of the three caps.
type Fill struct{ Transactions, Params, Bytes histogram.Snapshot }

// Reports are the calls to the backend since the daemon started.
type Reports struct {
	Calls        uint64
	Transactions uint64 // delivered
	InFlight     int
	Verdicts     map[string]uint64 // attempts by how they were judged
	Answers      []Answers
	Seconds      histogram.Snapshot // of a call
	Saturated    time.Duration      // for so long as many were in flight as may be
	Dead         map[string]Buried  // dead letters by reason; the reasons are bounded
	Skew         time.Duration      // of the backend's clock against ours, at the least

	Limit       int    // how many may be in flight, as it adapted
	BreakerOpen bool   // the backend is away: one call at a time
	Alone       uint64 // about one application that nothing vouched for

	Restamped, RestampedEvents uint64 // transactions and events delivered with the time of the attempt
}

// Answers is how many calls were answered with a status and judged so. The statuses are bounded.
type Answers struct {
	Verdict, Status string
	Calls           uint64
}

// Buried is what became dead letters.
type Buried struct{ Transactions, Events uint64 }

// Proof is what the backend vouched for.
type Proof struct {
	Known         int    // applications and metrics remembered
	Waiting       int    // questions queued or under way
	Asked, Failed uint64 // questions since the daemon started, and those without an answer
}

// Lane is the queue of one service with one set of credentials.
type Lane struct {
	ServiceID string
	PassedOn  bool   // with credentials that the reporter sent, not with configured ones
	State     string // flowing, retrying, held, draining or parked
	Batches   int
	Events    uint64
	OldestAge time.Duration
	LastError string // never with a secret; empty when the last attempt went well

	Questioned   int // batches that wait for proof of their applications and metrics
	Parked       int // batches with an unknown outcome, kept until somebody decides
	ParkedEvents uint64
}

// Traffic is what producers sent by one transport since the daemon started.
type Traffic struct {
	Transport string         // events or report
	Requests  map[int]uint64 // by status of the answer
	Events    uint64
	Bytes     uint64
}

// Authorize is how authorizations were answered since the daemon started.
type Authorize struct {
	Answers map[string]uint64 // by source: cache, backend, stale, mode
	Granted uint64
	Denied  map[string]uint64 // by code

	Calls        histogram.Snapshot // of the backend, seconds
	Failures     uint64             // of them, without an answer of its own
	RefreshAhead uint64

	Entries, Denials int // remembered
	Bytes            int64
	Evicted          uint64
	Applications     int // whose usage is followed
	Untracked        uint64

	Reported, Refused, Unbilled uint64 // authreps by what became of their usage

	Overshoot int64
	Unseen    int64         // the most usage of others that one answer brought to light
	Behind    int64         // the most delivered usage that a counter of the backend lacked, since the last scrape
	Forgotten uint64        // applications of which delivered usage was forgotten before the backend showed it
	OldestAge time.Duration // of an answer served since the last scrape
}
