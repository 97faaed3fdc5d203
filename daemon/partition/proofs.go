package partition

import (
	"context"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/internal/outage"
	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/threescale"
)

const (
	proofsFile = "proofs"         // in the data directory
	proofsSave = 30 * time.Second // a crash loses at most this much of what was learned, or a little more: see keep
)

// ProofOptions configure what counts as recently confirmed by the backend.
type ProofOptions struct {
	Life          time.Duration // how long a confirmation lasts
	NegativeCache time.Duration // how long the backend caches that something does not exist
	ProbeRate     int           // probes per second, at most
}

// grace is how much younger than a batch a denial must be to reject it: the negative cache plus a twelfth of it, at least a
// second, since the clocks of the backend and its queue may differ.
func (o ProofOptions) grace() time.Duration {
	return max(o.NegativeCache+o.NegativeCache/12, time.Second)
}

// proofKeeper saves across restarts what the backend confirmed, and probes for the rest.
type proofKeeper struct {
	log    *zap.Logger
	file   string
	proofs *proof.Proofs
	prober *proof.Prober
}

// newProofKeeper reads what an earlier process learned. That is a cache: without it everything is probed again. names returns where
// the names go that the answers have.
func newProofKeeper(log *zap.Logger, dir string, client threescale.ClientOptions, o ProofOptions, names func() *quota.Tracker) (*proofKeeper, error) {
	asks, err := threescale.NewClient(client)
	if err != nil {
		return nil, err
	}
	k := &proofKeeper{log: log, file: filepath.Join(dir, proofsFile), proofs: proof.New(proof.Options{
		Life: o.Life, Grace: o.grace(),
		Unresolved: func(s proof.Scope, a threescale.Application) bool { return names().Unresolved(quotaName(s, a)) },
		Named: func(s proof.Scope, a threescale.Application, serviceID, applicationID string) {
			names().LearnNames(quotaName(s, a), serviceID, applicationID)
		},
	})}
	k.prober = proof.NewProber(asks, k.proofs, o.ProbeRate)
	if err := k.proofs.Load(k.file); err != nil {
		log.Warn("cannot read the proofs of an earlier run: applications and metrics are asked about again", zap.Error(err))
	}
	return k, nil
}

func quotaName(s proof.Scope, a threescale.Application) quota.Name {
	return quota.Name{Service: quota.ServiceName{ID: s.ServiceID, Credentials: s.Credentials}, Application: a}
}

// confirmed records what the backend's answer to an authorization proved; asked is when it was requested.
func (k *proofKeeper) confirmed(service string, c threescale.Credentials, a threescale.Application, metrics []string, asked time.Time) {
	k.proofs.Prove(proof.Scope{ServiceID: service, Credentials: c}, a, metrics, asked)
}

// denied records that the backend denied an application or a metric to a client.
func (k *proofKeeper) denied(service string, c threescale.Credentials, a threescale.Application, d authorize.Denial) {
	refusal := proof.Refusal{Status: d.Status, Code: d.Code, Text: d.Text}
	k.proofs.Deny(proof.Scope{ServiceID: service, Credentials: c}, a, d.Metric, refusal, time.Now())
}

// doubt ends the proofs of what is missing. The ledger has a hash of user keys only, so that all proofs end where an application may
// have been reported with one.
func (k *proofKeeper) doubt(s proof.Scope, applications, metrics []string, hasUserKey func(app string) bool) {
	for _, metric := range metrics {
		k.proofs.Revoke(s, threescale.Application{}, metric)
	}
	for _, name := range applications {
		if hasUserKey(name) {
			k.proofs.RevokeAll()
			break
		}
		k.proofs.Revoke(s, threescale.Application{ID: name}, "")
	}
	k.log.Warn("3scale did not count what it accepted: what was in the reports is asked about again before it shares another",
		zap.String("service_id", s.ServiceID), zap.Int("applications", len(applications)), zap.Strings("metrics", metrics))
}

// run probes and saves until ctx ends.
func (k *proofKeeper) run(ctx context.Context) error {
	saved := make(chan struct{})
	go func() { // ends with ctx
		defer close(saved)
		k.keep(ctx)
	}()
	err := k.prober.Run(ctx)
	<-saved
	return err
}

// keep saves every proofsSave, and once at the end.
func (k *proofKeeper) keep(ctx context.Context) {
	timer := time.NewTimer(proofsSave)
	defer timer.Stop()
	saving := outage.New(outage.Options{
		Log: k.log, BeginLevel: zap.WarnLevel,
		Begin: "cannot save the proofs: after a restart applications and metrics are asked about again",
		End:   "proofs are saved again",
	})
	for {
		last := false
		select {
		case <-ctx.Done():
			last = true
		case <-timer.C:
		}
		began := time.Now()
		saving.Report(k.proofs.Save(k.file))
		timer.Reset(max(proofsSave, saveShare*time.Since(began)))
		if last {
			return
		}
	}
}

func (k *proofKeeper) figures() console.Proof {
	s := k.prober.Stats()
	return console.Proof{Known: s.Known, Waiting: s.Waiting, Asked: s.Asked, Failed: s.Failed}
}
