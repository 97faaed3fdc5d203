package main

import (
	"context"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/proof"
	"github.com/reporterd/reporterd/threescale"
)

const (
	proofsFile = "proofs"         // in the data directory
	proofsSave = 30 * time.Second // how much of what was learnt a crash may cost
	mostProbes = 8                // connections for questions
)

// vouching is what the backend vouched for, and asking it about the rest.
type vouching struct {
	log    *zap.Logger
	file   string
	proofs *proof.Proofs
	prober *proof.Prober
}

// newVouching has a client of its own, so that questions do not wait for reports that hang. What an
// earlier process learnt is a cache: without it everything is asked for again.
func newVouching(log *zap.Logger, c *config.Config, backend string, trusted *threescale.Trust) (*vouching, error) {
	client, err := threescale.NewClient(threescale.ClientOptions{
		URL: backend, Timeout: c.Backend.Timeout, Trust: trusted, MaxConns: mostProbes, UserAgent: "reporterd/" + version,
	})
	if err != nil {
		return nil, err
	}
	// A twelfth more, and a second at least: the backend's clock and its queue are not ours.
	grace := max(c.Sender.NegativeCache+c.Sender.NegativeCache/12, time.Second)
	v := &vouching{log: log, file: filepath.Join(c.DataDir, proofsFile), proofs: proof.New(proof.Options{Life: c.Sender.ProofLife, Grace: grace})}
	v.prober = proof.NewProber(client, v.proofs, c.Sender.ProbeRate)
	if err := v.proofs.Load(v.file); err != nil {
		log.Warn("what is proven is not known any more", zap.Error(err))
	}
	return v, nil
}

// seen notes what an authorization of a client proved that was asked for at asked.
func (v *vouching) seen(service string, c threescale.Credentials, a threescale.Application, metrics []string, asked time.Time) {
	v.proofs.Prove(proof.Scope{ServiceID: service, Credentials: c}, a, metrics, asked)
}

// denied notes that the backend denied an application or a metric to a client.
func (v *vouching) denied(service string, c threescale.Credentials, a threescale.Application, d authorize.Denial) {
	refusal := proof.Refusal{Status: d.Status, Code: d.Code, Text: d.Text}
	v.proofs.Deny(proof.Scope{ServiceID: service, Credentials: c}, a, d.Metric, refusal, time.Now())
}

// run asks and saves until ctx ends.
func (v *vouching) run(ctx context.Context) error {
	saved := make(chan struct{})
	go func() { // ends with ctx
		defer close(saved)
		v.keep(ctx)
	}()
	err := v.prober.Run(ctx)
	<-saved
	return err
}

// keep saves now and then, and a last time at the end. Trouble is logged when it begins and when it ends.
func (v *vouching) keep(ctx context.Context) {
	ticker := time.NewTicker(proofsSave)
	defer ticker.Stop()
	failing := false
	for {
		last := false
		select {
		case <-ctx.Done():
			last = true
		case <-ticker.C:
		}
		err := v.proofs.Save(v.file)
		if err != nil && !failing {
			v.log.Warn("what is proven cannot be saved: after a restart it is asked for again", zap.Error(err))
		} else if err == nil && failing {
			v.log.Info("what is proven is saved again")
		}
		if failing = err != nil; last {
			return
		}
	}
}

func (v *vouching) figures() console.Proof {
	s := v.prober.Stats()
	return console.Proof{Known: s.Known, Waiting: s.Waiting, Asked: s.Asked, Failed: s.Failed}
}
