package main

import (
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
// commands that work on a directory in use.
const announcement = "admin"

// announce writes that file. Without it the commands need --admin-url, so the daemon runs on without it.
func announce(log *zap.Logger, dir, address string) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if absolute, err := filepath.Abs(path); err == nil {
			address = "unix:" + absolute
		}
	}
	if err := os.WriteFile(filepath.Join(dir, announcement), []byte(address+"\n"), 0o600); err != nil {
		log.Warn("reporterd deadletter will need --admin-url", zap.Error(err))
	}
}

// announced reads the address of the daemon that uses a directory; fallback when it says none.
func announced(dir, fallback string) string {
	text, err := os.ReadFile(filepath.Join(dir, announcement))
	if address := strings.TrimSpace(string(text)); err == nil && address != "" {
		return address
	}
	return fallback
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
	cmd.Flags().StringP("config", "c", "", "configuration `file` (also $REPORTERD_CONFIG)")
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
		return nil, misuse(err)
	}
	if _, err := os.Stat(c.DataDir); err != nil {
		return nil, misuse(fmt.Errorf("data_dir: %w; name another with --data-dir", err))
	}
	return c, nil
}
