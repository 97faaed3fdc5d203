// Package threescale speaks 3scale's Service Management API: its nouns, its limits, its form and XML
// codec in both directions, and a client that makes exactly one attempt per call.
//
// It knows nothing of reporterd: no spool, no retries, no logging. What it says about the backend was
// observed on Apisonator 3.4.3; the recordings under testdata are the referee.
package threescale

import "time"

// What the backend enforces, or documents, for one call. Operators of an on-premises backend can move
// the first two enforced ones; reporterd therefore has them as configuration, with these as defaults.
const (
	// MaxTransactions is the documented cap of transactions in one report. The listener takes more
	// (recording report-1001), but 3scale does not promise that it always will.
	MaxTransactions = 1000

	// MaxParams is the enforced cap of form parameters in one body, counted as ampersands plus one,
	// credentials included (recordings report-4096-params, report-1000-5keys).
	MaxParams = 4096

	// MaxBody is the enforced cap of one body in bytes (recording report-body-over-4mib).
	MaxBody = 4 << 20

	// MaxQuery is the longest query string the backend's HTTP server reads, in bytes
	// (recording oversized-requests).
	MaxQuery = 10 << 10

	// MaxNesting is the deepest parameter name, the name itself included (recording report-depth).
	MaxNesting = 32
)

// The window a timestamp must lie in when the backend's worker gets to it, inclusive, in whole seconds
// of the worker's clock (recordings report-deadline-24h-minus-2s, report-old-25h, report-future-30m).
const (
	MaxPast   = 24 * time.Hour
	MaxFuture = time.Hour
)

// MaxValue is the largest usage value reporterd lets through, for one event and for a sum.
//
// The backend's counters are signed 64-bit; one that would overflow crashes the worker in the middle of
// a batch, after which the good transactions are counted again with every re-run (recording
// report-overflow-among-good). 2^53-1 keeps a thousand such values below that, and is exact in every
// JSON implementation.
const MaxValue = 1<<53 - 1

// IdleTimeout is how long a client may keep an idle connection: the backend closes its side after 20 s,
// and a POST that meets that close is ambiguous (recording keepalive-idle-timeout).
const IdleTimeout = 15 * time.Second

// Application names the caller of an API: by id or by user key, exactly one of which is not empty.
type Application struct {
	ID      string
	UserKey string
}

// String names the application without its user key, which is a secret.
func (a Application) String() string {
	if a.UserKey != "" {
		return "user_key [redacted]"
	}
	return "app_id " + a.ID
}

// Increment adds Value to a metric's counters, and to those of its ancestors.
type Increment struct {
	Metric string // system name, without surrounding white space
	Value  uint64 // at most MaxValue
}

// Usage is what one transaction used. A metric appears at most once.
type Usage []Increment

// Transaction is one application's usage at one moment.
type Transaction struct {
	Application Application
	Usage       Usage
	Timestamp   int64 // Unix seconds; 0: none, the backend takes the time of processing
	Code        int   // log[code], 100 to 999; 0: none
}

// Report is one call of POST /transactions.xml.
type Report struct {
	ServiceID    string // may be empty beside a provider key: the provider's default service
	Credentials  Credentials
	FlatUsage    bool // 3scale-options: flat_usage=1; nothing goes to the ancestors
	Transactions []Transaction
}
