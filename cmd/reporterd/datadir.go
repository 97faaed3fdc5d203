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
// commands that work on a directory in use; and, in a second line, a token that is good for it as long as
// the daemon lives: who may read the directory could do all that without asking.
const announcement = "admin"

// announce writes that file. Without it the commands need --admin-url, so the daemon runs on without it.
func announce(log *zap.Logger, dir, address, token string) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if absolute, err := filepath.Abs(path); err == nil {
			address = "unix:" + absolute
		}
	}
	if err := os.WriteFile(filepath.Join(dir, announcement), []byte(address+"\n"+token+"\n"), 0o600); err != nil {
		log.Warn("reporterd deadletter will need --admin-url", zap.Error(err))
	}
}

// announced reads the address of the daemon that uses a directory, and a token that is good there; fallback
// and none when it says none.
func announced(dir, fallback string) (address, token string) {
	text, err := os.ReadFile(filepath.Join(dir, announcement))
	address, token, _ = strings.Cut(strings.TrimSpace(string(text)), "\n")
	if err != nil || address == "" {
		return fallback, ""
	}
	return address, strings.TrimSpace(token)
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
