package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// leaves are the commands that do something, by what follows the program's name.
func leaves() map[string]*cobra.Command {
	all := make(map[string]*cobra.Command)
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.HasSubCommands() {
				walk(sub)
			} else if name := strings.TrimPrefix(sub.CommandPath(), "reporterd "); name != "man" && name != "help" {
				all[name] = sub
			}
		}
	}
	walk(newRoot())
	return all
}

// needed are the arguments that a command does not work without.
var needed = map[string]string{
	"spool show": "000000000001-0000", "deadletter show": "x", "deadletter requeue": "--all --yes", "deadletter drop": "--all --yes", "parked show": "x",
	"gate test": "GET /", "sources show": "x", "sources get": "x", "sources test": "x",
	"parked resend": "--all --yes", "parked counted": "--all --yes", "parked bury": "--all --yes", "usage": "1001", "applications": "1001",
	"send": "--service 1 --usage hits=1 --timeout 1ms",
}

// TestExitStatusOfEachCommand: every command ends with 2 for an option that there is not, and says where its help is; with 1 while
// its configuration is not there or no daemon answers; and with 78 for a configuration that is wrong in itself.
func TestExitStatusOfEachCommand(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("bad.yaml", []byte("lisen: x\n"), 0o600))
	run := func(name, more string) (status int, stderr string) {
		var out, errs bytes.Buffer
		status = Run(context.Background(), strings.Fields(name+" "+needed[name]+" "+more), &out, &errs)
		return status, errs.String()
	}
	commands := leaves()
	require.Greater(t, len(commands), 30)
	for name, cmd := range commands {
		has := func(flag string) bool { return cmd.Flags().Lookup(flag) != nil }
		status, stderr := run(name, "--nosuch")
		assert.Equal(t, statusMisuse, status, name)
		assert.Contains(t, stderr, "See: reporterd "+name+" --help\n")
		if has("config") {
			status, stderr = run(name, "--config missing.yaml")
			assert.Equal(t, statusFailed, status, "%s: %s", name, stderr)
			status, stderr = run(name, "--config bad.yaml")
			assert.Equal(t, statusConfiguration, status, "%s: %s", name, stderr)
			assert.Contains(t, stderr, "did you mean listen?", name)
		}
		if has("admin-url") {
			status, stderr = run(name, "--admin-url http://127.0.0.1:1")
			assert.Equal(t, statusFailed, status, "%s: %s", name, stderr)
			assert.Contains(t, stderr, "cannot reach the daemon at http://127.0.0.1:1", name)
			status, _ = run(name, "--admin-url ftp://x")
			assert.Equal(t, statusMisuse, status, name)
		}
		if has("output") {
			status, stderr = run(name, "--output xml")
			assert.Equal(t, statusMisuse, status, name)
			assert.Contains(t, stderr, "--output", name)
		}
	}
}

// TestStatusesAreInTheManual: the table of the help and the one of docs/operating.md have the same statuses.
func TestStatusesAreInTheManual(t *testing.T) {
	text, err := os.ReadFile("../docs/operating.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "### Exit statuses\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n#")
	assert.Equal(t, len(statuses), strings.Count(table, "\n| ")-2, "a row each, below the heading")
	for _, s := range statuses {
		assert.Contains(t, table, fmt.Sprintf("\n| %d |", s.status))
	}
}

// TestNothingFallsToFileNames: a shell offers file names for options that take a file or a directory, and for send's argument.
func TestNothingFallsToFileNames(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("HOME", t.TempDir())
	files := map[string]bool{"config": true, "file": true, "access-token-file": true, "token-file": true}
	for name, cmd := range leaves() {
		if strings.HasPrefix(name, "completion") {
			continue // cobra's own
		}
		require.NotNil(t, cmd.ValidArgsFunction, name)
		_, directive := cmd.ValidArgsFunction(cmd, nil, "")
		assert.Equal(t, name != "send", directive&cobra.ShellCompDirectiveNoFileComp != 0, "arguments of %s", name)
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() == "bool" || files[f.Name] {
				return
			}
			complete, found := cmd.GetFlagCompletionFunc(f.Name)
			require.True(t, found, "%s --%s", name, f.Name)
			_, directive := complete(cmd, nil, "")
			assert.NotZero(t, directive&(cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveFilterDirs), "%s --%s", name, f.Name)
		})
	}
}

// TestEveryCommandIsInTheManual: docs/commands.md names each.
func TestEveryCommandIsInTheManual(t *testing.T) {
	text, err := os.ReadFile("../docs/commands.md")
	require.NoError(t, err)
	for name := range leaves() {
		if !strings.HasPrefix(name, "completion ") {
			assert.Contains(t, string(text), "`"+name+"`")
		}
	}
}
