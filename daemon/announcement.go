package daemon

import (
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console/client"
)

// announce says in the data directory where the admin listener is, for the commands that work on a directory in use; token is an
// operator's. Of a listener with HTTPS it says which certificate to expect. When the file cannot be written, the commands need
// --admin-url, and the daemon runs on without it.
func announce(log *zap.Logger, c *config.Config, admin *listener, token string) {
	a := client.Announcement{Address: admin.address, Token: token}
	if path, ok := strings.CutPrefix(admin.address, "unix:"); ok {
		if absolute, err := filepath.Abs(path); err == nil {
			a.Address = "unix:" + absolute
		}
	} else if admin.secure {
		a.Address = "https://" + client.Reachable(admin.address)
		a.Certificate, _ = filepath.Abs(c.Admin.TLS.CertFile)
	}
	if err := client.Announce(c.DataDir, a); err != nil {
		log.Warn("reporterd deadletter will need --admin-url", zap.Error(err))
	}
}
