// Package partition contains everything that happens to usage after it is accepted: it keeps events on disk, batches and reports
// them, answers authorizations that count usage which is not reported yet, and books the outcome in the ledger.
//
// A daemon on one machine runs one partition on its data directory; a replica runs those that it owns, each on a disk in
// JetStream. The package does not use the configuration or listeners.
package partition

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/batcher"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/internal/lifecycle"
	"github.com/reporterd/reporterd/internal/outage"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/sender"
	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// Options of Open. Fields of the nested options that connect the parts are set by Open, and ignored here.
type Options struct {
	Dir      string // for caches that may be deleted, and for the ledger
	Services []event.Service
	Spool    spool.Options
	Batcher  batcher.Options
	Sender   sender.Options
	Proof    ProofOptions
	Ledger   *ledger.Options // nil: no ledger is kept

	Authorize authorize.Options

	// Strangers bound what is kept of services that are not configured.
	Strangers StrangerLimits

	// Reports, Authorizations and Probes configure the clients of the backend. They are separate, so that a call of one kind does
	// not wait for connections of another.
	Reports, Authorizations, Probes threescale.ClientOptions

	// AlwaysAuthorize makes usage on disk count against limits from the start, even if no authorizations were requested in an
	// earlier run.
	AlwaysAuthorize bool

	// SendOnStop is how long a stop sends what was not tried yet; 0: not at all, since another owner of the partition continues.
	SendOnStop time.Duration

	// Parents returns the metric hierarchy of a service in the portal; nil, or an empty result: unknown.
	Parents func(service string) map[string]string

	Log *zap.Logger
}

// Partition is one spool with its batcher, sender, authorizer, prober and ledger. Its methods may be called concurrently.
type Partition struct {
	log         *zap.Logger
	dir         string
	spool       *spool.Spool
	journal     *boundedJournal
	batcher     *batcher.Batcher
	sender      *sender.Sender
	quota       *quota.Tracker
	authorizer  *authorize.Authorizer
	credentials credentials
	proofs      *proofKeeper
	ledger      *bookkeeper
	letters     deadLetterOperations
	parked      parkedOperations
	answers     *savedAnswers
	parents     func(service string) map[string]string
	unreadable  unreadable
	usage       usageFigures
	sendOnStop  time.Duration

	batching *lifecycle.Part
	group    lifecycle.Group    // the goroutines besides the batcher
	ending   context.Context    // cancelled when the partition begins to stop
	end      context.CancelFunc // ends ending
}

// ErrStopping is the reason why a stopping partition is not ready.
var ErrStopping = errors.New("stopping")

// OptionsError is an error of Open about its options; all other errors are about the disk.
type OptionsError struct{ Err error }

// Error returns the text of Err.
func (e *OptionsError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *OptionsError) Unwrap() error { return e.Err }

// Open opens the spool, and returns once it was read and every part is made. Start starts them.
func Open(o Options) (*Partition, error) {
	o.Spool.Trouble = logDirectory(o.Log.Named("spool"))
	o.Spool.KeepChanges = o.Spool.KeepChanges || authorized(o.Dir) // see savedAnswers
	s, found, err := spool.Open(o.Spool)
	if err != nil {
		return nil, err
	}
	logRecovery(o.Log.Named("spool"), found)
	p, err := assemble(o, s)
	if err != nil {
		return nil, errors.Join(&OptionsError{err}, s.Close())
	}
	return p, nil
}

func assemble(o Options, s *spool.Spool) (*Partition, error) {
	p := &Partition{log: o.Log, dir: o.Dir, spool: s, parents: o.Parents, sendOnStop: o.SendOnStop}
	p.unreadable = unreadable{log: o.Log.Named("spool"), why: s.Unreadable}
	p.ending, p.end = context.WithCancel(context.Background())
	var err error
	if p.proofs, err = newProofKeeper(o.Log.Named("proof"), o.Dir, o.Probes, o.Proof, func() *quota.Tracker { return p.quota }); err != nil {
		return nil, err
	}
	accepted, err := loadTotals(o.Log.Named("totals"), s)
	if err != nil {
		return nil, err
	}
	p.journal = newBoundedJournal(s, o.Strangers, accepted)
	p.quota = newQuota(o, p.journal, backlogOf(o.Log.Named("authorize"), s, o.Dir), p.named)
	if p.authorizer, err = newAuthorizer(o, authrepJournal{p.journal}, p.proofs, p.quota); err != nil {
		return nil, err
	}
	p.answers = &savedAnswers{always: o.AlwaysAuthorize, log: o.Log.Named("authorize"), dir: o.Dir, authorizer: p.authorizer, quota: p.quota, spool: s}
	p.credentials.set(o.Services)
	client, err := threescale.NewClient(o.Reports)
	if err != nil {
		return nil, fmt.Errorf("backend.url: %w", err)
	}
	batches := o.Batcher
	batches.Spool, batches.Trouble = s, logTrouble(o.Log.Named("batcher"))
	batches.Waiting = func() int { return p.sender.Waiting() }
	p.batcher = batcher.New(batches)
	sends, following := o.Sender, reportFollower{p.quota}
	sends.Settling, sends.Refused = p.answers.settle, p.refused
	sends.Sending, sends.Settled, sends.Proofs, sends.Prober = following.sending, following.settled, p.proofs.proofs, p.proofs.prober
	sends.Spool, sends.Client, sends.Credentials, sends.Log = s, client, p.credentials.of, o.Log.Named("sender")
	p.sender = sender.New(sends)
	p.answers.keepLog()
	if o.Ledger == nil {
		s.Booked(0)
	}
	p.ledger = openLedger(o.Log.Named("ledger"), o.Ledger, s, p.quota, p.Parents, p.receipts(o))
	p.letters = deadLetterOperations{log: o.Log.Named(DeadLetterLogger), spool: s, quota: p.quota, nameOf: p.nameOf}
	p.parked = parkedOperations{spool: s, sender: p.sender, nameOf: p.nameOf}
	return p, nil
}

// receipts is the sender, if a service has receipts.
func (p *Partition) receipts(o Options) *sender.Sender {
	if len(o.Sender.Receipts) == 0 {
		return nil
	}
	return p.sender
}

// Start starts to batch, to probe, and to send. If authorizations were requested in an earlier run, its usage is counted against
// limits before any of it is sent.
func (p *Partition) Start(ctx context.Context) error {
	p.answers.begin(ctx)
	p.group.Go("watch for read errors", p.unreadable.watch)
	p.group.Go("ledger", p.ledger.run)
	p.group.Go("saved authorizations", p.answers.run)
	p.group.Go("sender", p.sender.Run)
	p.group.Go("prober", p.proofs.run)
	p.group.Go("pending usage", p.quota.Run)
	p.batching = lifecycle.Start(p.batcher.Run)
	return nil
}

// Stop makes the last cut, sends what was not tried yet for at most SendOnStop, waits for the answers of the reports in flight,
// and books them. If the backend is unavailable, sending ends with the first failure. An error says that the last cut failed, or
// that ctx ended first; acknowledged events are on disk in any case.
func (p *Partition) Stop(ctx context.Context) error {
	p.end()
	cut := p.batching.Stop(ctx)
	if p.sendOnStop > 0 {
		bounded, cancel := context.WithTimeout(ctx, p.sendOnStop)
		_ = p.sender.Tried(bounded, p.spool.Readable()) // the rest is sent after the next start
		cancel()
	}
	return errors.Join(cut, p.group.Stop(ctx))
}

// Close closes the spool, after Stop, and saves the answers to authorizations for the next start.
func (p *Partition) Close(bool) error {
	p.answers.save()
	return errors.Join(p.ledger.close(), p.spool.Close())
}

// Ready returns why the partition cannot commit and accept events, or nil.
func (p *Partition) Ready() error {
	if p.ending.Err() != nil {
		return ErrStopping
	}
	return p.spool.Ready()
}

// Degraded is empty: a partition accepts all events or none.
func (p *Partition) Degraded() []string { return nil }

// Append implements ingest.Journal: it counts the events against limits, and returns once they are durable.
func (p *Partition) Append(ctx context.Context, events []event.Event) (duplicates int, err error) {
	return p.quota.Append(ctx, events)
}

// Admit returns why an event cannot be taken, since it would make a counter of the backend pass its limit; empty: it can be. The large
// values of an event that can be taken are counted from now on. The event's credentials are those that its reporter sent, if any.
func (p *Partition) Admit(e *event.Event) (why string) { return p.journal.totals.Admit(e) }

// Authorizations returns the handler of an authorization; nil: the call is not one.
func (p *Partition) Authorizations(method, path string) http.Handler {
	return p.authorizer.Handler(method, path)
}

// FastPath answers an authorization from memory; see authorize.Authorizer.FastPath.
func (p *Partition) FastPath(dst []byte, path, query, options string) (answer []byte, ok bool) {
	return p.authorizer.FastPath(dst, path, query, options)
}

// Ask decides a question of the daemon's own; see authorize.Authorizer.Ask.
func (p *Partition) Ask(ctx context.Context, q *authorize.Question) authorize.Answer {
	return p.authorizer.Ask(ctx, q)
}

// Vouch returns the backend's refusal of credentials of a service that is not configured, or nil; see
// authorize.Authorizer.Vouch.
func (p *Partition) Vouch(ctx context.Context, serviceID string, c threescale.Credentials, app threescale.Application) *threescale.Error {
	return p.authorizer.Vouch(ctx, serviceID, c, app)
}

// Apply sets services and their credentials, and retries the lanes of each at once, since their problem may be solved. It returns
// the ids of services whose credentials have changed, including new and removed ones.
func (p *Partition) Apply(services []event.Service) (changed []string) {
	changed = p.credentials.set(services)
	p.authorizer.SetServices(services)
	for _, s := range services {
		p.sender.Kick(s.ID)
	}
	return changed
}

// Doubt ends the proofs of applications and metrics, by the names that they have in the ledger, since 3scale did not count what was delivered of them: they are asked about
// again before they share a report.
func (p *Partition) Doubt(service string, applications, metrics []string) {
	if c, ok := p.credentials.of(service); ok {
		p.proofs.doubt(proof.Scope{ServiceID: service, Credentials: c}, applications, metrics, func(name string) bool { return p.hasUserKey(service, name) })
	}
}

// Leads is true: a partition on one machine is alone.
func (p *Partition) Leads() bool { return true }

// Led returns h.
func (p *Partition) Led(_ string, h http.Handler) http.Handler { return h }

// SetMetrics replaces the metrics that authorizations of services may name; credentials stay.
func (p *Partition) SetMetrics(services []event.Service) { p.authorizer.SetServices(services) }

// Pending returns how many events are on disk and not delivered.
func (p *Partition) Pending() uint64 { return p.spool.Counts().Pending }

// Reject stores a message that can never be accepted as a dead letter. It returns once the letter is durable.
func (p *Partition) Reject(m Message) error {
	_, err := p.spool.Bury(m.Origin, m.ServiceID, spool.Original{Subject: m.Subject, ID: m.ID, ContentType: m.Type, Rejected: m.Rejected}, m.Payload,
		spool.Reason{Code: m.Code, Message: m.Detail})
	return err
}

// logTrouble logs when cuts begin to fail, and when they work again.
func logTrouble(log *zap.Logger) func(batcher.Trouble) {
	return func(t batcher.Trouble) {
		if t.Err != nil {
			log.Error("cannot seal batches: events stay in the journal, and sealing is retried", zap.Error(t.Err))
			return
		}
		log.Info("batches are sealed again", zap.Duration("after", t.Lasted.Round(time.Millisecond)), zap.Int("failures", t.Failures))
	}
}

// logDirectory logs when a problem with the data directory begins, and when it ends.
func logDirectory(log *zap.Logger) func(spool.Trouble) {
	directory := outage.New(outage.Options{
		Log: log, BeginLevel: zap.ErrorLevel, EndLevel: zap.WarnLevel,
		Begin: "the data directory was removed or replaced: requests are answered 503 and nothing is sent until the same one is back; otherwise restart",
		End:   "the data directory is back: requests are accepted again",
	})
	manifest := outage.New(outage.Options{
		Log: log, BeginLevel: zap.ErrorLevel,
		Begin: "cannot write the manifest: accepting and sending continue, but a start after a crash may not detect all losses",
		End:   "the manifest can be written again",
	})
	return func(t spool.Trouble) {
		if t.What == spool.TroubleDirectory {
			directory.Report(t.Err)
		} else {
			manifest.Report(t.Err)
		}
	}
}

// logRecovery logs a line for each finding of the recovery: the summary at info, the rest at warn.
func logRecovery(log *zap.Logger, found *spool.Recovery) {
	for i, line := range found.Lines() {
		if i == 0 {
			log.Info(line)
			continue
		}
		log.Warn(line)
	}
}
