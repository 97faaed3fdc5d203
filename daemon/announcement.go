package daemon

import (
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console/client"
)

// announce writes the addresses of the listeners into the data directory, for commands that work on a directory in use; token is
// an operator's. For a listener with HTTPS it includes the expected certificate, and where client certificates are asked one to
// show. If the file cannot be written, the commands need
// --admin-url, and the daemon continues.
func announce(log *zap.Logger, c *config.Config, l *listeners, token string) {
	a := client.Announcement{Token: token}
	if c.Admin.TLS.ClientCAFile != "" || c.TLS.ClientCAFile != "" {
		a.Client = l.local
	}
	a.Address, a.Certificate = l.admin.announced(c.Admin.TLS.CertFile)
	a.Traffic, a.TrafficCertificate = l.traffic.announced(c.TLS.CertFile)
	if err := client.Announce(c.DataDir, a); err != nil {
		log.Warn("cannot write the listener addresses into the data directory: commands that call this daemon need --admin-url", zap.Error(err))
	}
}

// announced returns the address at which a process of this machine reaches the listener, and the expected certificate; none:
// plain HTTP.
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
