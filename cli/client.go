package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console/client"
)

// namedDaemon is the daemon of --admin-url, or the one that uses the directory.
func namedDaemon(cmd *cobra.Command) (*client.Client, error) {
	if address, _ := cmd.Flags().GetString("admin-url"); address != "" {
		return dial(address)
	}
	c, err := directory(cmd)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(c.DataDir); err != nil { // the daemon of another directory would answer
		return nil, misuse(fmt.Errorf("data_dir: %w; name another with --data-dir", err))
	}
	return find(c)
}

// adminToken is the variable that holds an operator's token, for commands that ask a daemon.
const adminToken = "REPORTERD_ADMIN_TOKEN"

// dial makes the client of the daemon at --admin-url.
func dial(address string) (*client.Client, error) {
	c, err := client.New(address, os.Getenv(adminToken))
	if err != nil {
		return nil, misuse(fmt.Errorf("--admin-url: %w", err))
	}
	return c, nil
}

// find makes the client of the daemon that uses the data directory of a configuration.
func find(c *config.Config) (*client.Client, error) {
	found, err := client.Find(c.DataDir, c.Admin.Listen, os.Getenv(adminToken))
	if err != nil {
		return nil, misuse(fmt.Errorf("--admin-url: %w", err))
	}
	return found, nil
}
