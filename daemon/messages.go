package daemon

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/console/client"
	"github.com/reporterd/reporterd/daemon/partition"
	ingestnats "github.com/reporterd/reporterd/ingest/nats"
	"github.com/reporterd/reporterd/ingest/nats/embedded"
)

// messages is the NATS part: the embedded server, if there is one, and the consumers of events from it or from other servers.
// Nil: NATS is not used.
type messages struct {
	server  *embedded.Server
	clients *natsClients // clients of the embedded server; nil: they need no token
	bridge  *ingestnats.Bridge
	syncs   *ingestnats.SyncWatch // of the servers' streams; nil: none is used, or the server is embedded
	lazy    *time.Duration        // how long the embedded server keeps messages in memory only; nil: no embedded server
}

// openMessages starts the server and consumes events. It is called after the spool is opened, whose lock also keeps a second
// daemon out of the server's store. The server uses the most connections.
func (d *daemon) openMessages(ctx context.Context) (*messages, error) {
	log, c, h := d.log, d.config, d.handler
	if !c.NATS.Embedded && c.NATS.URL == "" {
		return nil, nil
	}
	m, url := new(messages), c.NATS.URL
	o := ingestnats.Options{Login: login(c.NATS), InboxPrefixes: c.NATS.Inboxes()}
	if c.NATS.Embedded {
		if err := m.startServer(ctx, d, &o); err != nil {
			return nil, err
		}
		url = "nats://" + client.Reachable(m.server.Address())
	}
	secure, err := natsTLS(c.NATS)
	if err == nil {
		o.URL, o.Subject, o.Stream, o.Durable, o.TLS = url, c.NATS.Subject, c.NATS.Stream, c.NATS.Durable, secure
		o.Version, o.Questions, o.Handler, o.Log = d.options.Build.Version, questions(c.NATS, h.Unauthenticated()), h, log.Named("nats")
		o.DeadLetters = func(l ingestnats.DeadLetter) error { return d.engine.Reject(partition.Message(l)) }
		m.bridge, err = ingestnats.Open(o)
	}
	if err != nil {
		m.stop(ctx, log)
		return nil, err
	}
	if (c.NATS.Stream != "" || c.Spool.Engine == "jetstream") && m.server == nil {
		m.syncs = watchSyncs(c.NATS, secure, log)
	}
	return m, nil
}

// startServer starts the embedded server, and sets the consumers' options that depend on it.
func (m *messages) startServer(ctx context.Context, d *daemon, o *ingestnats.Options) (err error) {
	c := d.config
	with := embedded.Options{
		Address: c.NATS.Listen, StoreDir: filepath.Join(c.DataDir, "nats"), MaxStore: int64(c.Spool.MaxBytes),
		Lazy: c.Spool.Sync == "never", Log: d.log.Named("natsd"), MaxConnections: d.listeners.bounds.NATS,
	}
	if m.clients = newNATSClients(c.NATS, d.auth.producers); m.clients != nil {
		with.Authenticate, with.Services = m.clients.authenticate, m.clients.subjects
		o.Sender, o.InboxPrefixes = m.clients.sender, []string{embedded.Inboxes}
	}
	if m.server, err = embedded.Start(ctx, with); err != nil {
		return err
	}
	m.lazy = new(m.server.Unsynced())
	o.Login.User, o.Login.Password = m.server.Login()
	d.log.Info("listening", zap.String("listener", "nats"), zap.String("address", m.server.Address()), zap.Bool("tls", false),
		zap.Bool("tokens", m.clients != nil))
	if !m.server.Loopback() && m.clients == nil {
		d.log.Warn("listening for other machines without requiring tokens", zap.String("listener", "nats"), zap.String("address", m.server.Address()))
	}
	return nil
}

// recheck closes the connections of clients whose tokens are not valid any more.
func (m *messages) recheck(log *zap.Logger) {
	if m == nil || m.server == nil || m.clients == nil {
		return
	}
	if err := m.server.Recheck(m.clients.current); err != nil {
		log.Warn("cannot end the connections of clients without a token", zap.Error(err))
	}
}

// watchSyncs checks whether the servers sync before they acknowledge.
func watchSyncs(c config.NATS, secure *tls.Config, log *zap.Logger) *ingestnats.SyncWatch {
	var monitors []string
	for url := range strings.SplitSeq(c.MonitorURLs, ",") {
		if url = strings.TrimSpace(url); url != "" {
			monitors = append(monitors, url)
		}
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: secure, DisableKeepAlives: true}}
	return ingestnats.WatchSync(ingestnats.SyncOptions{Monitors: monitors, Client: client, Log: log.Named("nats")})
}

// unsynced returns how long acknowledged messages may be in memory only, nil if that is unknown.
func (m *messages) unsynced() *time.Duration {
	if m.syncs == nil {
		return m.lazy
	}
	if longest, known := m.syncs.Longest(); known {
		return &longest
	}
	return nil
}

// login returns the daemon's credentials for NATS.
func login(c config.NATS) ingestnats.Login {
	return ingestnats.Login{CredentialsFile: c.CredentialsFile, NKeyFile: c.NKeyFile, User: c.User, Password: string(c.Password)}
}

// questions returns the NATS requests that are answered like the HTTP calls.
func questions(c config.NATS, h http.Handler) (all []ingestnats.Question) {
	for _, q := range []ingestnats.Question{
		{Name: "authorize", Subject: c.AuthorizeSubject, Path: "/v1/authorize", Handler: h},
		{Name: "authrep", Subject: c.AuthrepSubject, Path: "/v1/authrep", Handler: h},
	} {
		if q.Subject != "" {
			all = append(all, q)
		}
	}
	return all
}

// natsTLS returns nil if no part of it is configured: then the servers decide.
func natsTLS(c config.NATS) (*tls.Config, error) {
	if c.CAFile == "" && c.CertFile == "" {
		return nil, nil
	}
	trusted, err := authorities("nats.ca_file", c.CAFile)
	if err != nil {
		return nil, err
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusted}
	if c.CertFile != "" {
		own, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("nats.cert_file: %q: %w", c.CertFile, err)
		}
		t.Certificates = []tls.Certificate{own}
	}
	return t, nil
}

// drain stops consuming and waits for messages in progress, until ctx ends.
func (m *messages) drain(ctx context.Context, log *zap.Logger) {
	if m == nil || m.bridge == nil {
		return
	}
	if err := m.bridge.Stop(ctx); err != nil {
		log.Warn("left NATS before all messages were processed", zap.Error(err))
	}
}

// stop stops the consumers, then the server.
func (m *messages) stop(ctx context.Context, log *zap.Logger) {
	m.drain(ctx, log)
	if m != nil && m.syncs != nil {
		m.syncs.Stop()
	}
	if m == nil || m.server == nil {
		return
	}
	if err := m.server.Stop(ctx); err != nil {
		log.Warn("stopping", zap.Error(err))
	}
}

// degraded returns what does not work now, although the daemon is ready.
func (m *messages) degraded() []string {
	if m == nil {
		return nil
	}
	if err := m.bridge.Health(); err != nil {
		return []string{err.Error()}
	}
	return nil
}

// figures returns the figures for the console.
func (m *messages) figures() console.NATS {
	if m == nil {
		return console.NATS{}
	}
	s := m.bridge.Stats()
	return console.NATS{
		Degraded: m.bridge.Health() != nil, Losses: s.Losses, Waiting: s.Waiting, Refused: s.Refused, DeadLetters: s.DeadLetters,
		Unkept: s.Unkept, Dropped: s.Dropped, BadEvents: s.Stream.BadEvents, Unsynced: m.unsynced(),
		Stream: map[string]uint64{
			"acknowledged": s.Stream.Acknowledged, "unconfirmed": s.Stream.Unconfirmed, "postponed": s.Stream.Postponed,
			"terminated": s.Stream.Terminated, "divided": s.Stream.Divided, "redelivered": s.Stream.Redelivered,
		},
	}
}
