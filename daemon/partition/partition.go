// Package partition is everything that happens to usage once it is accepted, as one thing: it keeps events on disk, batches
// and reports them, answers authorizations that count what is not reported yet, and books what came of it in the ledger.
//
// A daemon of one machine runs one partition on its data directory; a replica runs those that it owns, each on a disk in
// JetStream. The package sees no configuration and no listener.
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
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// Options are what a partition is made of. Fields of the nested options that connect the parts with each other are set by
// Open, and ignored here.
type Options struct {
	Dir      string // of caches that may be deleted, and of the ledger
	Services []event.Service
	Spool    spool.Options
	Batcher  batcher.Options
	Sender   sender.Options
	Proof    ProofOptions
	Ledger   *ledger.Options // nil: no ledger is kept

	Authorize authorize.Options

	// Reports, Authorizations and Probes are the clients of the backend: a call of one kind never waits for the connections
	// of another.
	Reports, Authorizations, Probes threescale.ClientOptions

	// AlwaysAuthorize says that usage on disk counts against limits from the start, whether authorizations were asked for in an
	// earlier life or not.
	AlwaysAuthorize bool

	// SendOnStop is for how long a stop sends what was not tried yet, at most; 0: it does not, since the partition goes on
	// elsewhere.
	SendOnStop time.Duration

	// Parents is the metric hierarchy of a service as the portal has it; nil, or an empty answer: it is not known there.
	Parents func(service string) map[string]string

	Log *zap.Logger
}

// Partition is one spool with its batcher, sender, authorizer, prober and ledger. Its methods may be called concurrently.
type Partition struct {
	log         *zap.Logger
	dir         string
	spool       *spool.Spool
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
	sendOnStop  time.Duration

	batching *lifecycle.Part
	group    lifecycle.Group    // what runs beside the batcher
	ending   context.Context    // ends when the partition begins to stop
	end      context.CancelFunc // ends ending
}

// ErrStopping is why a partition that was told to stop is not ready.
var ErrStopping = errors.New("stopping")

// OptionsError is an error of Open that is about its options; any other is about the disk.
type OptionsError struct{ Err error }

// Error is the error without a word about its kind.
func (e *OptionsError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *OptionsError) Unwrap() error { return e.Err }

// Open opens the spool, and returns once it was read and every part is made. Nothing runs before Start.
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
	if p.proofs, err = newProofKeeper(o.Log.Named("proof"), o.Dir, o.Probes, o.Proof); err != nil {
		return nil, err
	}
	p.quota = newQuota(o, s, backlogOf(o.Log.Named("authorize"), s, o.Dir))
	if p.authorizer, err = newAuthorizer(o, s, p.proofs, p.quota); err != nil {
		return nil, err
	}
	p.answers = &savedAnswers{always: o.AlwaysAuthorize, log: o.Log.Named("authorize"), dir: o.Dir, authorizer: p.authorizer, quota: p.quota, spool: s}
	p.credentials.set(o.Services)
	client, err := threescale.NewClient(o.Reports)
	if err != nil {
		return nil, fmt.Errorf("backend.url: %w", err)
	}
	batches := o.Batcher
	batches.Trouble = logTrouble(o.Log.Named("batcher"))
	p.batcher = batcher.New(s, batches)
	sends, following := o.Sender, reportFollower{p.quota}
	sends.Settling, sends.Refused = p.answers.settle, p.refused
	sends.Sending, sends.Settled, sends.Proofs, sends.Prober = following.sending, following.settled, p.proofs.proofs, p.proofs.prober
	p.sender = sender.New(s, client, p.credentials.of, o.Log.Named("sender"), sends)
	p.answers.keepLog()
	if o.Ledger == nil {
		s.Booked(0)
	}
	p.ledger = openLedger(o.Log.Named("ledger"), o.Ledger, s, p.Parents)
	p.letters = deadLetterOperations{log: o.Log.Named(DeadLetterLogger), spool: s, quota: p.quota}
	p.parked = parkedOperations{spool: s, sender: p.sender}
	return p, nil
}

// Start begins to batch, to ask the backend for proofs, and to send. Usage of an earlier life is counted against limits before
// any of it is sent, where authorizations were asked for then.
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

// Stop makes the last cut, sends what was not tried yet for SendOnStop at most, and waits for the answers of the reports in
// flight, then books them. While the backend is away the sending is over with the first failure. An error says that there was no
// last cut, or that ctx ended first; what was acknowledged is on disk either way.
func (p *Partition) Stop(ctx context.Context) error {
	p.end()
	cut := p.batching.Stop(ctx)
	if p.sendOnStop > 0 {
		bounded, cancel := context.WithTimeout(ctx, p.sendOnStop)
		_ = p.sender.Tried(bounded, p.spool.Readable()) // what is left goes out after the next start
		cancel()
	}
	return errors.Join(cut, p.group.Stop(ctx))
}

// Close gives the spool up, after Stop, and keeps the answers to authorizations for the next start. clean says that the daemon
// was asked to stop.
func (p *Partition) Close(bool) error {
	p.answers.save()
	return errors.Join(p.ledger.close(), p.spool.Close())
}

// Ready returns why the partition cannot commit and accept, if it cannot.
func (p *Partition) Ready() error {
	if p.ending.Err() != nil {
		return ErrStopping
	}
	return p.spool.Ready()
}

// Append implements ingest.Journal: it weighs the events against limits, and returns once they are durable.
func (p *Partition) Append(ctx context.Context, events []event.Event) (duplicates int, err error) {
	return p.quota.Append(ctx, events)
}

// Authorizations returns what answers an authorization; nil: the call is none.
func (p *Partition) Authorizations(method, path string) http.Handler {
	return p.authorizer.Handler(method, path)
}

// FastPath answers an authorization from memory; see authorize.Authorizer.FastPath.
func (p *Partition) FastPath(dst []byte, path, query, options string) (answer []byte, ok bool) {
	return p.authorizer.FastPath(dst, path, query, options)
}

// Vouch returns the backend's refusal of credentials of a service that is not configured, or nil; see
// authorize.Authorizer.Vouch.
func (p *Partition) Vouch(ctx context.Context, serviceID string, c threescale.Credentials, app threescale.Application) *threescale.Error {
	return p.authorizer.Vouch(ctx, serviceID, c, app)
}

// Apply puts services and their credentials in force, and tries the lanes of each at once: what held them may be mended. It
// returns the ids of services whose credentials have changed, new and removed ones included.
func (p *Partition) Apply(services []event.Service) (changed []string) {
	changed = p.credentials.set(services)
	p.authorizer.SetServices(services)
	for _, s := range services {
		p.sender.Kick(s.ID)
	}
	return changed
}

// SetMetrics replaces which metrics authorizations of services may name; their credentials stay.
func (p *Partition) SetMetrics(services []event.Service) { p.authorizer.SetServices(services) }

// Pending returns how many events are on disk and not delivered.
func (p *Partition) Pending() uint64 { return p.spool.Counts().Pending }

// Reject keeps a message that can never be taken as a dead letter. It returns once the letter is durable.
func (p *Partition) Reject(m Message) error {
	_, err := p.spool.Bury(m.Origin, m.ServiceID, spool.Original{Subject: m.Subject, ID: m.ID, ContentType: m.Type, Rejected: m.Rejected}, m.Payload,
		spool.Reason{Code: m.Code, Message: m.Detail})
	return err
}

// logTrouble logs that cutting fails when it begins to fail, and that it works again when it does.
func logTrouble(log *zap.Logger) func(batcher.Trouble) {
	return func(t batcher.Trouble) {
		if t.Err != nil {
			log.Error("cannot seal batches: events stay in the journal, and sealing is retried", zap.Error(t.Err))
			return
		}
		log.Info("batches are sealed again", zap.Duration("after", t.Lasted.Round(time.Millisecond)), zap.Int("failures", t.Failures))
	}
}

// logDirectory logs when something is wrong with the data directory, and when it no longer is.
func logDirectory(log *zap.Logger) func(spool.Trouble) {
	directory := outage.New(outage.Options{
		Log: log, BeginLevel: zap.ErrorLevel, EndLevel: zap.WarnLevel,
		Begin: "the data directory was removed or replaced: requests are answered 503 and nothing is sent until the same one is back; otherwise restart",
		End:   "the data directory is back: requests are accepted again",
	})
	manifest := outage.New(outage.Options{
		Log: log, BeginLevel: zap.ErrorLevel,
		Begin: "cannot write the manifest: accepting and sending go on, and a start after a crash knows less of what is missing",
		End:   "the manifest is written again",
	})
	return func(t spool.Trouble) {
		if t.What == spool.TroubleDirectory {
			directory.Report(t.Err)
		} else {
			manifest.Report(t.Err)
		}
	}
}

// logRecovery logs a line for each fact that was found: the summary at info, the rest at warn.
func logRecovery(log *zap.Logger, found *spool.Recovery) {
	for i, line := range found.Lines() {
		if i == 0 {
			log.Info(line)
			continue
		}
		log.Warn(line)
	}
}
