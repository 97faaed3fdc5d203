package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/reporterd/reporterd/config"
)

// Exit statuses; they are API, and a table in docs/operating.md. Go's runtime ends with 2 after a panic, when memory is
// exhausted, and on SIGABRT, SIGQUIT or SIGSEGV, so a service manager must restart the daemon after a 2.
const (
	statusFine          = 0
	statusFailed        = 1  // a restart may help
	statusMisuse        = 2  // of the command line
	statusDiffers       = 3  // of reconcile
	statusUnsure        = 4  // of reconcile
	statusConfiguration = 78 // EX_CONFIG: a restart cannot help
)

// statuses are what the help says of them.
var statuses = []struct {
	status int
	means  string
}{
	{statusFine, "it did what it was asked, or was told to stop"},
	{statusFailed, "it failed, or what it needs is not there yet"},
	{statusMisuse, "wrong usage of the command line, or a name that does not exist"},
	{statusDiffers, "reconcile: something differs"},
	{statusUnsure, "reconcile: not verifiable yet"},
	{statusConfiguration, "a configuration that is wrong in itself"},
}

// statusTable is the table of exit statuses for the help.
func statusTable() string {
	var b strings.Builder
	b.WriteString("Exit status:\n")
	for _, s := range statuses {
		fmt.Fprintf(&b, "  %-3d %s\n", s.status, s.means)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// failure is the error of a command that ran, with the exit status it deserves.
type failure struct {
	status int
	err    error // nil: said already
}

func (f *failure) Error() string { return fmt.Sprint(f.err) }

func (f *failure) Unwrap() error { return f.err }

// misuse is the error of a command line that is wrong.
func misuse(err error) error { return &failure{statusMisuse, err} }

// unusable is the error of a configuration that cannot be used: wrong in itself, or one that names a file that is not
// there yet, or wrong on the command line. An error that has its exit status already keeps it.
func unusable(err error) error {
	if f := (*failure)(nil); errors.As(err, &f) {
		return &failure{f.status, err}
	}
	switch config.FaultOf(err) {
	case config.Awaited:
		return failed(err)
	case config.Option:
		return misuse(err)
	}
	return &failure{statusConfiguration, err}
}

// failed is what went wrong while running; nil: nothing.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return &failure{statusFailed, err}
}

// logged is a failure that was told already, in the log or in the command's own words.
func logged() error { return &failure{statusFailed, nil} }
