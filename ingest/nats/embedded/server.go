// Package embedded runs a NATS server inside the daemon, for a machine that has none. Publishers connect to it; JetStream's store
// is in the data directory.
//
// With Options.Authenticate each client shows a token, and may do nothing but publish to its subjects and wait for answers.
// Without it every client may do everything, so the server belongs on a loopback address.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"
)

// maxPayload is the largest message it takes, in bytes: a request of as many events as HTTP takes.
const maxPayload = 8 << 20

// What clients can make the server keep in memory, beside 64 MiB that a client has not read yet (nats-server's default): the
// daemon itself needs half of that, and a client that reads nothing for ten seconds is disconnected.
const (
	maxSubscriptions = 1024     // of a client
	maxStreamMemory  = 64 << 20 // bytes of streams that are not on disk, all together
)

// startTimeout bounds the start of the server, which reads its streams first.
const startTimeout = 30 * time.Second

// Options of Start.
type Options struct {
	Address  string // host:port; port 0 takes a free one
	StoreDir string // of JetStream, created with permissions 0700
	MaxStore int64  // bytes that JetStream may store; 0: the server's default for the disk
	// Lazy makes JetStream acknowledge a message before it is synced, and sync every two minutes, as nats-server does by
	// default. Otherwise it is synced first (sync_interval: always).
	Lazy bool
	Log  *zap.Logger // nil: none

	// Authenticate returns what a client may do that shows a token, or an error for one that is refused. It is called
	// concurrently. nil: no token is needed, and every client may do everything.
	Authenticate func(token string) (Client, error)
	// Services are the subjects that the daemon answers, for clients that show tokens.
	Services []string

	// MaxConnections bounds the connected clients, the daemon included; 0: nats-server's default.
	MaxConnections int
}

// Server is a running server.
type Server struct {
	server  *server.Server
	clients *clients // nil without Options.Authenticate
	address string
	lazy    bool
}

// Start runs a server and returns once it takes connections; Stop ends it. An address that is in use is an error.
func Start(ctx context.Context, o Options) (*Server, error) {
	host, port, err := split(ctx, o.Address)
	if err != nil {
		return nil, fmt.Errorf("embedded NATS server: %s: %w", o.Address, err)
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	with := &server.Options{
		ServerName: "reporterd", Host: host, Port: port, MaxPayload: maxPayload, MaxConn: o.MaxConnections,
		MaxSubs: maxSubscriptions, JetStreamMaxMemory: maxStreamMemory,
		JetStream: true, StoreDir: o.StoreDir, JetStreamMaxStore: o.MaxStore, SyncAlways: !o.Lazy,
		NoSigs: true, DisableJetStreamBanner: true,
	}
	var admitted *clients
	if o.Authenticate != nil {
		admitted = newClients(o)
		with.CustomClientAuthentication = admitted
	}
	s, err := server.NewServer(with)
	if err != nil {
		return nil, fmt.Errorf("embedded NATS server: %w", err)
	}
	if admitted != nil {
		if err := admitted.open(s); err != nil {
			return nil, err
		}
	}
	log := &logger{log: o.Log.Sugar()}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	if !ready(ctx, s, log) {
		s.Shutdown()
		return nil, fmt.Errorf("embedded NATS server: %s: %w", o.Address, log.fatal())
	}
	return &Server{server: s, clients: admitted, address: s.Addr().String(), lazy: o.Lazy}, nil
}

// ready returns true once the server takes connections; false when it has failed, startTimeout is over or ctx ends.
func ready(ctx context.Context, s *server.Server, log *logger) bool {
	for begun := time.Now(); time.Since(begun) < startTimeout && ctx.Err() == nil && !log.stopped(); {
		if s.ReadyForConnections(50 * time.Millisecond) {
			return true
		}
	}
	return false
}

// split splits an address into host and port, and checks that it is free: the server itself would only log that. For port 0 the
// server chooses one itself: one that was free here could be taken before it listens.
func split(ctx context.Context, address string) (host string, port int, err error) {
	bound, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		var number syscall.Errno
		if errors.As(err, &number) {
			err = number
		}
		return "", 0, err
	}
	host, text, err := net.SplitHostPort(bound.Addr().String())
	if err = errors.Join(err, bound.Close()); err != nil {
		return "", 0, err
	}
	if _, wanted, _ := net.SplitHostPort(address); wanted == "0" {
		return host, server.RANDOM_PORT, nil
	}
	port, err = strconv.Atoi(text)
	return host, port, err
}

// Login is the name and the password of the daemon's own connections; empty where no token is needed.
func (s *Server) Login() (user, password string) {
	if s.clients == nil {
		return "", ""
	}
	return daemonUser, s.clients.password
}

// Address is where it listens: host:port.
func (s *Server) Address() string { return s.address }

// Unsynced is the longest time between the acknowledgement of a message and its sync to disk; 0: it is synced first.
func (s *Server) Unsynced() time.Duration {
	if s.lazy {
		return 2 * time.Minute // nats-server's default
	}
	return 0
}

// Loopback reports whether it can be reached from this machine only.
func (s *Server) Loopback() bool {
	host, _, _ := net.SplitHostPort(s.address) // bound, so well formed
	return net.ParseIP(host).IsLoopback()
}

// Stop ends every connection and the server, and returns once its store is closed, or ctx ends.
func (s *Server) Stop(ctx context.Context) error {
	done := make(chan struct{})
	go func() { // ends when the server has shut down, which takes a bounded time
		s.server.Shutdown()
		s.server.WaitForShutdown()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("embedded NATS server: stop: %w", ctx.Err())
	}
}
