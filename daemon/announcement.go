package daemon

import (
	"net"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
)

// AnnouncementFile is the file in the data directory that says where the daemon's admin listener is, for the commands that work
// on a directory in use. Its second line is a token that is good for the admin API as long as the daemon lives: a process that
// may read the directory can do as much without it. Its third is the file of the certificate to expect.
const AnnouncementFile = "admin"

// announce writes that file. Without it the commands need --admin-url, so the daemon runs on without it. Of a listener
// with HTTPS it says which certificate to expect.
func announce(log *zap.Logger, c *config.Config, admin *listener, token string) {
	address, certificate := admin.address, ""
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if absolute, err := filepath.Abs(path); err == nil {
			address = "unix:" + absolute
		}
	} else if admin.secure {
		address = "https://" + Reachable(address)
		certificate, _ = filepath.Abs(c.Admin.TLS.CertFile)
	}
	if err := os.WriteFile(filepath.Join(c.DataDir, AnnouncementFile), []byte(address+"\n"+token+"\n"+certificate+"\n"), 0o600); err != nil {
		log.Warn("reporterd deadletter will need --admin-url", zap.Error(err))
	}
}

// Reachable is a bound address as one on the same machine dials it: a wildcard is no destination.
func Reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
