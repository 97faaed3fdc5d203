package cli

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/daemon"
)

// announced is the daemon that uses a directory, as it says: fallback is its address where it says nothing. own is a
// token that is preferred.
func announced(dir, fallback, own string) (*remote, error) {
	text, err := os.ReadFile(filepath.Join(dir, daemon.AnnouncementFile))
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
