package daemon

import (
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console/client"
)

// announce says in the data directory where the listeners are, for the commands that work on a directory in use; token is an
// operator's. Of a listener with HTTPS it says which certificate to expect. When the file cannot be written, the commands need
// --admin-url, and the daemon runs on without it.
func announce(log *zap.Logger, c *config.Config, l *listeners, token string) {
	a := client.Announcement{Token: token}
	a.Address, a.Certificate = l.admin.announced(c.Admin.TLS.CertFile)
	a.Traffic, a.TrafficCertificate = l.traffic.announced(c.TLS.CertFile)
	if err := client.Announce(c.DataDir, a); err != nil {
		log.Warn("commands that ask this daemon will need --admin-url: where it listens cannot be written into the data directory", zap.Error(err))
	}
}

// announced is where a process of this machine reaches the listener, and which certificate to expect; none: plain HTTP.
func (l *listener) announced(certFile string) (address, certificate string) {
	if path, ok := strings.CutPrefix(l.address, "unix:"); ok {
		if absolute, err := filepath.Abs(path); err == nil {
			path = absolute
		}
		return "unix:" + path, ""
	}
	if !l.secure {
		return l.address, ""
	}
	certificate, _ = filepath.Abs(certFile)
	return "https://" + client.Reachable(l.address), certificate
}
