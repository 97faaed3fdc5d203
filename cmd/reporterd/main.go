// Command reporterd is a daemon in front of 3scale's Service Management API. Package cli has its commands.
package main

import (
	"context"
	"os"

	"github.com/reporterd/reporterd/cli"
)

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
