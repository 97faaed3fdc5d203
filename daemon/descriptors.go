package daemon

import (
	"math"
	"syscall"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/config"
)

// File descriptors that the daemon uses itself, in addition to clients' connections.
const (
	// storeFiles are for the store and the runtime: for each of three logs the active segment, the next one, the spare and a
	// reader, their directories during a sync, the ledger, the lock, dead letters, a quarantine copy, the listeners, the log,
	// epoll.
	storeFiles = 48

	// natsFiles are for the embedded server: its listener, streams and consumers. natsConnections are for connections to other
	// servers.
	natsFiles, natsConnections = 48, 8

	// portalConnections are for the admin portal, and for a diagnosis.
	portalConnections = 8

	// sandboxConnections are the daemon's own connections to the sandbox, and a few for people.
	sandboxConnections = authorizationConnections + probeConnections + portalConnections + 32
)

// divideDescriptors limits the listeners' connections so that the store always gets a descriptor, and logs the numbers. The Go
// runtime has raised the soft limit to the hard one before main began, and passes the old one to child processes.
func divideDescriptors(log *zap.Logger, c *config.Config, sandboxed bool) access.Connections {
	wish := access.Connections{Traffic: c.Limits.MaxConnections, Admin: c.Limits.MaxAdminConnections, NATS: -1, Sandbox: -1}
	reserved := storeFiles + 2*c.Sender.MaxInFlight + authorizationConnections + probeConnections + portalConnections
	if c.NATS.Embedded {
		wish.NATS = c.Limits.MaxNATSConnections
		reserved += natsFiles
	}
	if c.NATS.URL != "" || c.NATS.Embedded {
		reserved += natsConnections
	}
	if c.Reader.Listen != "" {
		reserved += c.Reader.MaxConnections
	}
	if c.Gate.Listen != "" {
		reserved += c.Gate.MaxConnections
	}
	if sandboxed {
		wish.Sandbox = sandboxConnections
	}
	d := access.Divide(descriptorLimit(), reserved, wish)
	log.Info("file descriptors", zap.Int("limit", d.Limit), zap.Int("reserved", d.Reserved), zap.Int("traffic", d.Bound.Traffic),
		zap.Int("admin", d.Bound.Admin), zap.Int("nats", d.Bound.NATS), zap.Int("sandbox", d.Bound.Sandbox))
	for _, l := range []struct {
		key         string
		wish, bound int
	}{
		{"limits.max_connections", wish.Traffic, d.Bound.Traffic}, {"limits.max_admin_connections", wish.Admin, d.Bound.Admin},
		{"limits.max_nats_connections", wish.NATS, d.Bound.NATS},
	} {
		if l.wish > l.bound {
			log.Warn("fewer connections are allowed than configured: raise the limit of open files (LimitNOFILE, ulimit -n)",
				zap.String("key", l.key), zap.Int("configured", l.wish), zap.Int("allowed", l.bound), zap.Int("limit", d.Limit))
		}
	}
	return d.Bound
}

// mostDescriptors stands for no limit.
const mostDescriptors = 1 << 20

// descriptorLimit returns how many descriptors the process may have.
func descriptorLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024 // the kernel's default; the call does not fail on Linux
	}
	return int(min(limit.Cur, mostDescriptors, math.MaxInt32))
}
