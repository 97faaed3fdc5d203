package daemon

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/daemon/replica"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/ingest"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/threescale"
)

// engine is what the daemon runs: one partition on a disk, or those that a replica owns of many. Its methods may be called
// concurrently, Start, Stop and Close once each in this order.
type engine interface {
	// Journal takes events.
	ingest.Journal

	// Start returns once the engine is at work, or ctx ends.
	Start(ctx context.Context) error
	// Stop ends the work, once no more events come in: a last cut, then the answers of reports in flight. An error says that
	// work was under way when ctx ended; what was acknowledged is on disk either way.
	Stop(ctx context.Context) error
	// Close gives up the disk, after Stop. clean says that the daemon was asked to stop.
	Close(clean bool) error
	// Ready returns why events cannot be taken, if so.
	Ready() error
	// Apply puts services and their credentials in force, and returns the ids of those whose credentials have changed.
	Apply(services []event.Service) (changed []string)
	// SetMetrics replaces which metrics authorizations of services may name.
	SetMetrics(services []event.Service)

	// Authorizations returns what answers a call; nil: it is no authorization.
	Authorizations(method, path string) http.Handler
	// FastPath answers an authorization from memory, if it can; see authorize.Authorizer.FastPath.
	FastPath(dst []byte, path, query, options string) (answer []byte, ok bool)
	// Vouch returns the backend's refusal of credentials of a service that is not configured, or nil; see
	// authorize.Authorizer.Vouch.
	Vouch(ctx context.Context, serviceID string, c threescale.Credentials, app threescale.Application) *threescale.Error
	// Reject keeps a message that can never be taken as a dead letter. It returns once the letter is durable.
	Reject(m partition.Message) error

	// Flush returns once what was accepted before is sealed and was tried, held lanes included: what came of each lane.
	Flush(ctx context.Context) ([]console.FlushedLane, error)
	// DeadLetters, DeadLetter and Order read and change dead letters; Parked and Settle reports whose outcome is unknown.
	DeadLetters(ctx context.Context, q console.DeadLetterQuery) (console.DeadLetters, error)
	DeadLetter(ctx context.Context, id string) (json.RawMessage, error)
	Order(ctx context.Context, do partition.Action, o console.DeadLetterOrder) (console.DeadLetterOutcome, error)
	Parked(ctx context.Context, cursor string, limit int) ([]console.Parked, error)
	ParkedReport(ctx context.Context, id string) (console.Parked, error)
	Settle(ctx context.Context, id, fate string) error

	// Snapshot is what the engine counts, Scraped begins anew what is counted since the last scrape, and Pending is how many
	// events are not delivered.
	Snapshot() console.Snapshot
	Scraped()
	Pending() uint64
	// KeepsLedger reports whether a ledger is kept. Ledger is nil where none is, and while it cannot be opened.
	KeepsLedger() bool
	Ledger() *ledger.Ledger
	// Parents is the hierarchy of a service's metrics, as far as it is known.
	Parents(service string) map[string]string
}

var (
	_ engine = (*partition.Partition)(nil)
	_ engine = (*replica.Replica)(nil)
)
