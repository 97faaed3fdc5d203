package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/config"
)

// addDirectory defines the options of commands that work on a data directory.
func addDirectory(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	cmd.Flags().StringP("config", "c", "", "configuration `file` (also $REPORTERD_CONFIG; default /etc/reporterd/reporterd.yaml, if it exists)")
	cmd.Flags().String("data-dir", "", "`directory` to look into; default: the configuration's data_dir; where there is none, "+sandboxDirectory)
}

// directory returns the configuration that names the data directory. With --data-dir alone none is read: what
// is wrong elsewhere must not prevent an inspection.
func directory(cmd *cobra.Command) (*config.Config, error) {
	file, _ := cmd.Flags().GetString("config")
	dir, _ := cmd.Flags().GetString("data-dir")
	if dir != "" && file == "" {
		c := config.Default()
		c.DataDir = dir
		return c, nil
	}
	c, read, err := load(cmd, false)
	if err != nil {
		return nil, unusable(err)
	}
	if read == "" {
		useSandbox(c)
	}
	if _, err := os.Stat(c.DataDir); err != nil {
		return nil, misuse(fmt.Errorf("data_dir: %w; name another with --data-dir", err))
	}
	return c, nil
}

// sandboxDirectory is where serve --sandbox keeps its events, below the directory that it was started in.
const sandboxDirectory = "./reporterd-data"

// useSandbox takes the directory of serve --sandbox, where the one of the configuration is not there.
func useSandbox(c *config.Config) {
	if _, err := os.Stat(c.DataDir); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if _, err := os.Stat(sandboxDirectory); err == nil {
		c.DataDir = sandboxDirectory
	}
}
