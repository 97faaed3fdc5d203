package main

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
)

// announcement is the file in the data directory that says where the daemon's admin listener is, for the
// commands that work on a directory in use; and, in a second line, a token that is good for it as long as
// the daemon lives: who may read the directory could do all that without asking.
const announcement = "admin"

// announce writes that file. Without it the commands need --admin-url, so the daemon runs on without it. Of a listener
// with HTTPS it says which certificate to expect.
func announce(log *zap.Logger, c *config.Config, admin *listener, token string) {
	address, certificate := admin.address, ""
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if absolute, err := filepath.Abs(path); err == nil {
			address = "unix:" + absolute
		}
	} else if admin.secure {
		address = "https://" + reachable(address)
		certificate, _ = filepath.Abs(c.Admin.TLS.CertFile)
	}
	if err := os.WriteFile(filepath.Join(c.DataDir, announcement), []byte(address+"\n"+token+"\n"+certificate+"\n"), 0o600); err != nil {
		log.Warn("reporterd deadletter will need --admin-url", zap.Error(err))
	}
}

// announced is the daemon that uses a directory, as it says: fallback is its address where it says nothing. own is a
// token that is preferred.
func announced(dir, fallback, own string) (*remote, error) {
	text, err := os.ReadFile(filepath.Join(dir, announcement))
	lines := append(strings.Split(strings.TrimRight(string(text), "\n"), "\n"), "", "", "")
	if err != nil || lines[0] == "" {
		return newRemote(fallback, own)
	}
	r, err := newRemote(lines[0], cmp.Or(own, strings.TrimSpace(lines[1])))
	if err == nil && lines[2] != "" {
		r.pin(lines[2])
	}
	return r, err
}

// reachable is a bound address as one on the same machine dials it: a wildcard is no destination.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// addDirectory defines the options of commands that work on a data directory.
func addDirectory(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	cmd.Flags().StringP("config", "c", "", "configuration `file` (also $REPORTERD_CONFIG; default /etc/reporterd/reporterd.yaml, if it exists)")
	cmd.Flags().String("data-dir", "", "directory to look into; default: the configuration's data_dir")
}

// directory returns the configuration that names the data directory. With --data-dir alone none is read: what
// is wrong elsewhere shall not keep anybody from looking.
func directory(cmd *cobra.Command) (*config.Config, error) {
	file, _ := cmd.Flags().GetString("config")
	dir, _ := cmd.Flags().GetString("data-dir")
	if dir != "" && file == "" {
		c := config.Default()
		c.DataDir = dir
		return c, nil
	}
	c, _, err := load(cmd, false)
	if err != nil {
		return nil, unusable(err)
	}
	if _, err := os.Stat(c.DataDir); err != nil {
		return nil, misuse(fmt.Errorf("data_dir: %w; name another with --data-dir", err))
	}
	return c, nil
}
