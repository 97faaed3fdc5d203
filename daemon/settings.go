package daemon

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/batcher"
	"github.com/reporterd/reporterd/cluster"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/daemon/replica"
	"github.com/reporterd/reporterd/event"
	ingestnats "github.com/reporterd/reporterd/ingest/nats"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/ledger/reconcile"
	"github.com/reporterd/reporterd/sender"
	"github.com/reporterd/reporterd/sender/receipt"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/portal"
)

// Connections to the backend, in addition to those for reports.
const (
	authorizationConnections = 32
	probeConnections         = 32
)

// userAgent returns the User-Agent of requests to 3scale.
func userAgent(b console.Build) string { return "reporterd/" + b.Version }

// openEngine opens the engine that spool.engine selects.
func openEngine(d *daemon) (engine, error) {
	o, err := partitionOptions(d)
	if err != nil {
		return nil, &partition.OptionsError{Err: err}
	}
	if d.config.Spool.Engine != "jetstream" {
		return opened[*partition.Partition](partition.Open(o))
	}
	return opened[*replica.Replica](replica.Open(replicaOptions(d, o)))
}

// opened prevents that a nil pointer of an engine's type becomes a non-nil engine.
func opened[E engine](e E, err error) (engine, error) {
	if err != nil {
		return nil, err
	}
	return e, nil
}

// partitionOptions returns the options of a partition, from the configuration.
func partitionOptions(d *daemon) (partition.Options, error) {
	c := d.config
	mode, err := authorize.ParseMode(c.Authorize.Mode)
	if err != nil {
		return partition.Options{}, err
	}
	client := threescale.ClientOptions{
		URL: d.listeners.backend, Timeout: c.Backend.Timeout, Trust: &d.auth.backend, MaxConns: c.Sender.MaxInFlight, UserAgent: userAgent(d.options.Build),
		Clock: &threescale.Clock{},
	}
	asks, probes := client, client
	asks.Timeout, asks.MaxConns = c.Authorize.Timeout, authorizationConnections
	probes.MaxConns = probeConnections
	o := partition.Options{
		Dir: c.DataDir, Services: d.services.configured, Log: d.log, Parents: d.services.parents,
		Reports: client, Authorizations: asks, Probes: probes,
		Spool: SpoolOptions(c),
		Batcher: batcher.Options{
			FlushInterval: c.Batch.FlushInterval, MaxInterval: c.Batch.MaxFlushInterval, MaxTransactions: c.Batch.MaxTransactions, MaxParams: c.Batch.MaxParams,
			MaxBytes: int(c.Batch.MaxBytes), Aggregate: c.Batch.Aggregate, Witness: d.services.witnessOf(), MaxWindowBytes: memoryShares(c).window,
		},
		Sender: sender.Options{
			MaxInFlight: c.Sender.MaxInFlight, Restamp: c.Sender.Expired == "restamp",
			ExpiredMargin: c.Sender.ExpiredMargin, FutureMargin: c.Sender.FutureMargin,
		},
		SendOnStop: c.StopTimeout / 2,
		Strangers:  strangerLimits(c),
		Proof:      partition.ProofOptions{Life: c.Sender.ProofLife, NegativeCache: c.Sender.NegativeCache, ProbeRate: c.Sender.ProbeRate},
		Authorize: authorize.Options{
			Mode: mode, TTL: c.Authorize.TTL, DenyTTL: c.Authorize.DenyTTL, MaxStale: c.Authorize.MaxStale,
			MaxEntries: c.Authorize.MaxEntries, MaxBytes: memoryShares(c).authorizations, Timeout: c.Authorize.Timeout,
			Passthrough: c.Backend.Passthrough.On(),
		},
	}
	o.Sender.Receipts = receiptsOf(c.Services)
	if len(o.Sender.Receipts) > 0 { // which stand beside the usage in a report
		o.Batcher.MaxTransactions = min(o.Batcher.MaxTransactions, receipt.MostTransactions)
		o.Batcher.MaxParams = max(o.Batcher.MaxParams-receiptParams, 1)
		o.Batcher.MaxBytes = max(o.Batcher.MaxBytes-receiptBytes, 1)
	}
	o.Sender.OnAmbiguous = map[string]sender.Policy{"park": sender.ParkAmbiguous, "receipt": sender.ReceiptAmbiguous}[c.Sender.OnAmbiguous]
	if c.Ledger.Enabled {
		o.Ledger = &ledger.Options{Dir: c.DataDir, Keep: c.Ledger.Keep, MaxBytes: int64(c.Ledger.MaxBytes)}
	}
	return o, nil
}

// strangerLimits are the bounds of services that are not configured. Where none is configured, all of the spool is theirs.
func strangerLimits(c *config.Config) partition.StrangerLimits {
	l := partition.StrangerLimits{Lanes: c.Backend.PassthroughLanes}
	if len(c.Services) > 0 {
		l.Bytes = int64(c.Spool.MaxBytes) / 100 * int64(c.Backend.PassthroughShare)
	}
	return l
}

// The size of the receipts in a report: parameters, and bytes of two escaped names and a number each.
const (
	receiptParams = 3 * receipt.Applications
	receiptBytes  = receipt.Applications * 2048
)

// receiptsOf returns the receipts of the services that use them.
func receiptsOf(list []config.Service) map[string]sender.Receipts {
	all := make(map[string]sender.Receipts)
	for _, s := range list {
		if !s.Receipts.On() {
			continue
		}
		r := sender.Receipts{Metrics: s.Receipts.Metrics}
		for a, name := range [...]string{s.Receipts.First, s.Receipts.Second, s.Receipts.Third, s.Receipts.Last} {
			if s.Receipts.UserKeys {
				r.Applications[a].UserKey = name
			} else {
				r.Applications[a].ID = name
			}
		}
		all[s.ID] = r
	}
	return all
}

// SpoolOptions returns the options of the data directory.
func SpoolOptions(c *config.Config) spool.Options {
	mode := spool.Always
	if c.Spool.Sync == "never" {
		mode = spool.Never
	}
	return spool.Options{
		Dir: c.DataDir, MaxBytes: int64(c.Spool.MaxBytes), MinFreeBytes: int64(c.Spool.MinFreeBytes),
		Sync: mode, DedupeWindow: c.Dedupe.Window, MaxIDs: memoryShares(c).ids, KeepChanges: c.Ledger.Enabled,
		RejectedBytes: int64(c.DeadLetters.RejectedMaxBytes), RejectedLetters: c.DeadLetters.RejectedMaxLetters,
	}
}

// replicaOptions returns the options of a replica: each partition has its share of the quota, always syncs, and has a ledger of its own,
// with its share of an eighth of the stream at most. The stream has a copy of it, which is at most twice as large.
func replicaOptions(d *daemon, o partition.Options) replica.Options {
	c := d.config
	o.SendOnStop = 0
	if o.Ledger != nil {
		o.Ledger.MaxBytes = min(int64(c.Ledger.MaxBytes), int64(c.Spool.MaxBytes)/8) / int64(c.Cluster.Partitions)
	}
	o.Strangers.Lanes = max(o.Strangers.Lanes/c.Cluster.Partitions, 1)
	o.Strangers.Bytes /= int64(c.Cluster.Partitions)
	o.Spool = spool.Options{
		Dir: "/spool", MaxBytes: int64(c.Spool.MaxBytes) / int64(c.Cluster.Partitions), MinFreeBytes: int64(c.Spool.MinFreeBytes),
		DedupeWindow: c.Dedupe.Window, MaxIDs: memoryShares(c).ids, KeepChanges: c.Ledger.Enabled,
		RejectedBytes: int64(c.DeadLetters.RejectedMaxBytes), RejectedLetters: c.DeadLetters.RejectedMaxLetters,
	}
	return replica.Options{
		Partition: o, AuthorizeTimeout: c.Authorize.Timeout, Log: d.log,
		Cluster: cluster.Options{
			Prefix: c.Cluster.Prefix, Partitions: c.Cluster.Partitions, Replicas: c.Cluster.Replicas,
			MaxBytes: int64(c.Spool.MaxBytes), PinTTL: c.Cluster.PinTTL, StopTime: c.StopTimeout,
		},
		Dial: func(ctx context.Context) (*nats.Conn, error) {
			secure, err := natsTLS(c.NATS)
			if err != nil {
				return nil, err
			}
			return ingestnats.Dial(ctx, ingestnats.Options{URL: c.NATS.URL, Login: login(c.NATS), TLS: secure})
		},
	}
}

// sealAndSend is how much of the time that accepted usage has left is reserved for sealing and sending, in addition to the flush
// interval.
const sealAndSend = 30 * time.Second

// lateMargin returns how much of its 24 hours usage must have left when it is accepted.
func lateMargin(c *config.Config) time.Duration {
	if c.Sender.Expired == "restamp" {
		return 0
	}
	return c.Sender.ExpiredMargin + max(c.Batch.FlushInterval, c.Batch.MaxFlushInterval) + sealAndSend
}

// eventServices converts the configured services.
func eventServices(list []config.Service) []event.Service {
	out := make([]event.Service, len(list))
	for i, s := range list {
		out[i] = event.Service{
			ID: s.ID, Metrics: s.Metrics, Credentials: threescale.Credentials{ServiceToken: string(s.Token), ProviderKey: string(s.ProviderKey)},
		}
		if s.Token != "" && s.ProviderKey != "" { // a call has one of them; reports use the token, which opens one service only
			out[i].Credentials.ProviderKey, out[i].ProviderKey = "", string(s.ProviderKey)
		}
	}
	return out
}

// ReconcileRules returns the rules in the configuration.
func ReconcileRules(c *config.Config) reconcile.Rules {
	r := reconcile.Rules{Exclusive: c.Reconcile.Exclusive, Witness: c.Reconcile.Witness, Seal: c.Reconcile.Seal, Quiet: c.Reconcile.Quiet}
	for _, s := range c.Services {
		if s.Receipts.On() {
			r.Receipts = append(r.Receipts, s.ID)
		}
	}
	return r
}

// NewPortal makes the client of the admin portal; sandbox is the address of the running sandbox's portal, if there is one.
func NewPortal(c *config.Config, b console.Build, sandbox string) (*portal.Client, error) {
	base, token, err := portal.Address(c.Portal.URL)
	if err != nil {
		return nil, fmt.Errorf("portal.url: %w", err)
	}
	if sandbox != "" {
		base = sandbox
	}
	if c.Portal.AccessToken != "" {
		token = string(c.Portal.AccessToken)
	}
	trusted, err := authorities("portal.ca_file", c.Portal.CAFile)
	if err != nil {
		return nil, err
	}
	return portal.New(portal.Options{
		URL: base, Token: token, RootCAs: trusted, Timeout: c.Portal.Timeout, PerSecond: float64(c.Portal.PerSecond), UserAgent: userAgent(b),
	})
}

// authorities reads a PEM file of certificates; nil for no file.
func authorities(key, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, config.NotThereYet(fmt.Errorf("%s: %w", key, err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, config.NotThereYet(fmt.Errorf("%s: %q: expected certificates in PEM", key, file))
	}
	return pool, nil
}

// CheckSources reads the file of sources, as a start does.
func CheckSources(c *config.Config) error {
	_, err := readSources(c.SourcesFile())
	return err
}

// CheckTokens reads the token files, as a start does.
func CheckTokens(c *config.Config) error {
	_, err := newAuthentication(c)
	return err
}
