package daemon

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/daemon/replica"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/ingest"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/threescale"
)

// engine is the part of the daemon that stores and delivers usage: one partition on a disk, or the partitions that a replica
// owns. Its methods may be called concurrently, Start, Stop and Close once each in this order.
type engine interface {
	// Journal accepts events.
	ingest.Journal

	// Start returns once the engine works, or ctx ends.
	Start(ctx context.Context) error
	// Stop stops the engine, after the last event was accepted: a last cut, then the answers of reports in flight. An error says
	// that work was in progress when ctx ended; acknowledged events are on disk in any case.
	Stop(ctx context.Context) error
	// Close closes the disk, after Stop. clean says that the daemon was asked to stop.
	Close(clean bool) error
	// Ready returns why events cannot be accepted, or nil; Degraded what does not work although it is ready, a line each.
	Ready() error
	Degraded() []string
	// Apply sets the services and their credentials, and returns the ids of those whose credentials have changed.
	Apply(services []event.Service) (changed []string)
	// Doubt ends the proofs of what is missing in 3scale's counts, by the names in the ledger: it is asked about again before it shares a report.
	Doubt(service string, applications, metrics []string)
	// SetMetrics replaces the metrics that authorizations of services may name.
	SetMetrics(services []event.Service)

	// Authorizations returns the handler of a call; nil: it is not an authorization.
	Authorizations(method, path string) http.Handler
	// FastPath answers an authorization from memory, if possible; see authorize.Authorizer.FastPath.
	FastPath(dst []byte, path, query, options string) (answer []byte, ok bool)
	// Ask decides a question of this daemon's own listener for proxies; see authorize.Authorizer.Ask.
	Ask(ctx context.Context, q *authorize.Question) authorize.Answer
	// Vouch returns the backend's refusal of credentials of a service that is not configured, or nil; see
	// authorize.Authorizer.Vouch.
	Vouch(ctx context.Context, serviceID string, c threescale.Credentials, app threescale.Application) *threescale.Error
	// Admit returns why an event cannot be taken, since it would make a counter of the backend pass its limit; empty: it can be.
	Admit(e *event.Event) (why string)
	// Reject stores a message that can never be accepted as a dead letter. It returns once the letter is durable.
	Reject(m partition.Message) error

	// Flush returns once everything accepted before is sealed and a report of it was tried, including held lanes: the result of
	// each lane.
	Flush(ctx context.Context) ([]console.FlushedLane, error)
	// DeadLetters, DeadLetter and Order read and change dead letters; Parked, ParkedReport and Settle do so for reports with an
	// unknown outcome.
	DeadLetters(ctx context.Context, q console.DeadLetterQuery) (console.DeadLetters, error)
	DeadLetter(ctx context.Context, id string) (json.RawMessage, error)
	Order(ctx context.Context, do partition.Action, o console.DeadLetterOrder) (console.DeadLetterOutcome, error)
	Parked(ctx context.Context, cursor string, limit int) ([]console.Parked, error)
	ParkedReport(ctx context.Context, id string) (console.Parked, error)
	Settle(ctx context.Context, id, fate string) error

	// Snapshot returns the engine's figures; of the lanes with credentials that reporters sent it names at most so many and sums
	// up the rest. Scraped resets those that count since the last scrape, and Pending returns how many
	// events are not delivered.
	Snapshot(lanes int) console.Snapshot
	// Whole returns those of all replicas together.
	Whole(ctx context.Context, lanes int) console.Snapshot
	Scraped()
	Pending() uint64
	// KeepsLedger reports whether a ledger is kept. Ledger answers for all of the engine's usage, of all replicas; it is nil if none is
	// kept, and while it cannot be opened.
	KeepsLedger() bool
	Ledger() ledger.Book
	// Leads reports whether this replica does what one of them does for all. Led returns a handler of the admin listener that answers
	// with the leader's h on every replica; it is called before Start, with the same names on all replicas.
	Leads() bool
	Led(name string, h http.Handler) http.Handler
	// Parents returns the hierarchy of a service's metrics, as far as it is known.
	Parents(service string) map[string]string
}

var (
	_ engine = (*partition.Partition)(nil)
	_ engine = (*replica.Replica)(nil)
)
