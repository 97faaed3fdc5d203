package daemon

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/ingest/traffic"
)

// listener is a bound address with its server.
type listener struct {
	name     string // traffic, admin, sandbox
	address  string // as bound: host:port, or unix:/path
	bound    net.Listener
	server   *http.Server
	secure   bool              // HTTPS; net/http sets TLSConfig itself, so that field does not tell
	gate     *readinessGate    // before the handler, until there is one; otherwise nil
	fastPath *traffic.Listener // of the traffic listener; otherwise nil
}

// bind binds an address and logs it; mode is that of a unix socket, in octal. Requests are answered after serve.
func bind(ctx context.Context, log *zap.Logger, name, address, mode string, server *http.Server) (*listener, error) {
	network, where := "tcp", address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, where = "unix", path
		if err := removeStaleSocket(ctx, path); err != nil {
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
		permissions, err := strconv.ParseUint(mode, 8, 9)
		if err == nil {
			err = os.Chmod(where, fs.FileMode(permissions))
		}
		if err != nil {
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

// shutdown stops accepting and returns once requests are finished or ctx ends; then it closes their connections.
func (l *listener) shutdown(ctx context.Context) {
	if err := l.server.Shutdown(ctx); err != nil {
		_ = l.server.Close() // the client's error reports the interrupted requests
	}
	if l.fastPath != nil {
		l.fastPath.Finish(ctx, answerTimeout)
	}
	_ = l.bound.Close() // a server that never served does not close its listener
}

// answerTimeout is how long an authorization that was received before a shutdown may wait for the disk.
const answerTimeout = 2 * time.Second

// removeStaleSocket removes the socket of a daemon that was killed. If a process answers on it, that is an error.
func removeStaleSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return errors.New("exists and is not a socket")
	}
	dialer := net.Dialer{Timeout: time.Second}
	if c, err := dialer.DialContext(ctx, "unix", path); err == nil {
		_ = c.Close()
		return errors.New("another process listens there")
	}
	return os.Remove(path)
}

// reason returns a listen error without the address, which the message contains already.
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

// certificates returns a listener's certificates, configured under key; nil if none are configured. It admits the client local
// beside those of the configured authorities.
func certificates(log *zap.Logger, key string, c config.TLS, local *x509.Certificate) (*access.Certificates, error) {
	if c.CertFile == "" {
		return nil, nil
	}
	held, err := access.OpenCertificates(c.CertFile, c.KeyFile, c.ClientCAFile, local)
	if err != nil {
		return nil, config.NotThereYet(fmt.Errorf("%s: %w", key, err))
	}
	held.OnReload = func(err error) {
		if err != nil {
			log.Error("cannot use the new certificate, keeping the previous one", zap.String("key", key), zap.Error(err))
			return
		}
		log.Info("the new certificate is in use", zap.String("key", key))
	}
	return held, nil
}
