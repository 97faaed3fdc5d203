package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/console"
)

// Set by deploy/build: -ldflags "-X github.com/reporterd/reporterd/cli.version=1.2.3 -X github.com/reporterd/reporterd/cli.commit=…".
var (
	version = "0.1.0-dev"
	commit  = ""
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print version, commit and Go version",
		Example: "  reporterd version",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), versionText())
			return err
		},
	}
}

// versionText is what the command version and the option --version print.
func versionText() string {
	b := build()
	return fmt.Sprintf("reporterd %s\ncommit %s\n%s %s/%s\n", b.Version, b.Commit, b.Go, runtime.GOOS, runtime.GOARCH)
}

// build says what was built. The commit is known to binaries of "go build" inside a checkout, not to
// those of "go run".
func build() console.Build {
	b := console.Build{Version: version, Commit: commit, Go: runtime.Version()}
	if commit != "" {
		return b
	}
	b.Commit = "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	changed := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " with changes"
		}
	}
	b.Commit += changed
	return b
}
