package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/config"
)

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
