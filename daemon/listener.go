package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/ingest/traffic"
)

// listener is one bound address and the server behind it.
type listener struct {
	name     string // traffic, admin, sandbox
	address  string // as bound: host:port, or unix:/path
	bound    net.Listener
	server   *http.Server
	secure   bool              // HTTPS; net/http fills in TLSConfig of its own, so that does not tell
	gate     *readinessGate    // in front of the handler, where it comes later; else nil
	fastPath *traffic.Listener // the traffic listener's; else nil
}

// bind takes an address and says so in the log. Nothing is answered before serve.
func bind(ctx context.Context, log *zap.Logger, name, address string, server *http.Server) (*listener, error) {
	network, where := "tcp", address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, where = "unix", path
		if err := sweep(ctx, path); err != nil {
			return nil, fmt.Errorf("%s listener: %s: %w", name, address, err)
		}
	}
	bound, err := new(net.ListenConfig).Listen(ctx, network, where)
	if err != nil {
		return nil, fmt.Errorf("%s listener: %s: %w", name, address, reason(err))
	}
	l := &listener{name: name, address: bound.Addr().String(), bound: bound, server: server, secure: server.TLSConfig != nil}
	l.gate, _ = server.Handler.(*readinessGate)
	fields := []zap.Field{zap.String("listener", name)}
	if network == "unix" {
		l.address = "unix:" + where
		if err := os.Chmod(where, 0o660); err != nil { // owner and group: who may connect may send
			_ = bound.Close()
			return nil, fmt.Errorf("%s listener: %w", name, err)
		}
	}
	log.Info("listening", append(fields, zap.String("address", l.address), zap.Bool("tls", l.secure))...)
	return l, nil
}

// serve answers until shutdown, and returns nil then.
func (l *listener) serve() error {
	var err error
	if l.secure {
		err = l.server.ServeTLS(l.bound, "", "")
	} else {
		err = l.server.Serve(l.bound)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("%s listener: %w", l.name, err)
}

// shutdown stops accepting and returns once requests are finished or ctx ends; then it cuts them off.
func (l *listener) shutdown(ctx context.Context) {
	if err := l.server.Shutdown(ctx); err != nil {
		_ = l.server.Close() // what it cut off is told by the client's own error
	}
	if l.fastPath != nil {
		l.fastPath.WaitQuiescent(answerPatience)
	}
	_ = l.bound.Close() // a server that never began to serve does not know its listener
}

// answerPatience is how long an authorization that was asked for before a shutdown may wait for the disk.
const answerPatience = 2 * time.Second

// sweep removes the socket of a daemon that was killed. One that answers belongs to another process.
func sweep(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return errors.New("exists and is no socket")
	}
	dialer := net.Dialer{Timeout: time.Second}
	if c, err := dialer.DialContext(ctx, "unix", path); err == nil {
		_ = c.Close()
		return errors.New("another process listens there")
	}
	return os.Remove(path)
}

// reason is a listen error without the address, which the message has already.
func reason(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	var number syscall.Errno
	if errors.As(op.Err, &number) {
		return number
	}
	return op.Err
}

// certificates are a listener's HTTPS, key's the configuration's; nil when none is configured.
func certificates(log *zap.Logger, key string, c config.TLS) (*access.Certificates, error) {
	if c.CertFile == "" {
		return nil, nil
	}
	held, err := access.OpenCertificates(c.CertFile, c.KeyFile, c.ClientCAFile)
	if err != nil {
		return nil, config.NotThereYet(fmt.Errorf("%s: %w", key, err))
	}
	held.OnReload = func(err error) {
		if err != nil {
			log.Error("a new certificate is not taken: the one before stays in force", zap.String("key", key), zap.Error(err))
			return
		}
		log.Info("a new certificate is in force", zap.String("key", key))
	}
	return held, nil
}
