package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestExitStatus: 78 for a configuration that only an edit can mend, 1 for what a restart may mend, 2 for the command line.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	const base = "listen: \"127.0.0.1:0\"\nadmin: {listen: \"127.0.0.1:0\"}\ndata_dir: data\n"
	for name, c := range map[string]struct {
		file string // empty: there is none
		args []string
		want int
	}{
		"unknown key":                 {file: base + "lisen: x\n", want: 78},
		"wrong type":                  {file: base + "batch: {flush_interval: 5}\n", want: 78},
		"out of range":                {file: base + "batch: {flush_interval: 2h}\n", want: 78},
		"contradiction":               {file: base + "backend: {passthrough: false}\n", want: 78},
		"no YAML":                     {file: "listen: [\n", want: 78},
		"no credentials named":        {file: base + "services: [{id: a}]\n", want: 78},
		"wrong, and a file missing":   {file: base + "lisen: x\nservices: [{id: a, token_file: later}]\n", want: 78},
		"tokens with a mistake":       {file: base + "auth: {tokens_file: mistake}\n", want: 78},
		"no configuration file":       {want: 1},
		"no token file yet":           {file: base + "services: [{id: a, token_file: later}]\n", want: 1},
		"a token file without one":    {file: base + "services: [{id: a, token_file: empty}]\n", want: 1},
		"no variable yet":             {file: base + "services: [{id: a, token_env: LATER}]\n", want: 1},
		"no authorities yet":          {file: base + "backend: {ca_file: later}\n", want: 1},
		"no authorities in the file":  {file: base + "backend: {ca_file: empty}\n", want: 1},
		"no certificate yet":          {file: base + "tls: {cert_file: later, key_file: later}\n", want: 1},
		"certificate without its key": {file: base + "tls: {cert_file: cert.pem, key_file: other.pem}\n", want: 1},
		"no tokens yet":               {file: base + "auth: {tokens_file: later}\n", want: 1},
		"a value on the command line": {file: base, args: []string{"--log-level", "loud"}, want: 2},
		"an option that is none":      {file: base, args: []string{"--nosuch"}, want: 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir, other := t.TempDir(), t.TempDir()
			certify(t, dir)
			certify(t, other)
			require.NoError(t, os.Rename(filepath.Join(other, "key.pem"), filepath.Join(dir, "other.pem")))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "empty"), []byte("\n"), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "mistake"), []byte("tokens: [{name: a}]\n"), 0o600))
			if c.file != "" {
				configFile(t, dir, c.file)
			}
			status, _, stderr := execute(t, dir, nil, append([]string{"serve", "--config", "reporterd.yaml"}, c.args...)...)
			assert.Equal(t, c.want, status, stderr)
			if !strings.HasPrefix(name, "certificate") && !strings.HasPrefix(name, "no authorities in") { // check does not open them
				status, _, stderr = execute(t, dir, nil, append([]string{"config", "check", "--config", "reporterd.yaml"}, c.args...)...)
				assert.Equal(t, c.want, status, "config check: %s", stderr)
			}
		})
	}
}

// TestACrashIsNoConfiguration: no way in which Go's runtime ends a process has the status that stops restarts.
func TestACrashIsNoConfiguration(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGABRT, syscall.SIGQUIT, syscall.SIGSEGV} {
		d := sandboxed(t, t.TempDir())
		d.ready()
		require.NoError(t, d.cmd.Process.Signal(signal))
		<-d.exited
		assert.NotEqual(t, 78, d.cmd.ProcessState.ExitCode(), signal)
	}
}

// TestExitStatusTable: the documents, the help and the unit say the same statuses.
func TestExitStatusTable(t *testing.T) {
	text, err := os.ReadFile("../docs/operating.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "### Exit statuses\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n#")
	_, help, _ := execute(t, t.TempDir(), nil, "--help")
	for _, status := range []int{0, 1, 2, 78} {
		assert.Contains(t, table, fmt.Sprintf("\n| %d |", status))
		assert.Regexp(t, fmt.Sprintf(`Exit status:[^.]*\b%d `, status), strings.ReplaceAll(help, "\n", " "))
	}
	unit, err := os.ReadFile("../deploy/systemd/reporterd.service")
	require.NoError(t, err)
	assert.Contains(t, string(unit), "\nRestartPreventExitStatus=78\n")
	for _, file := range []string{"../README.md", "../docs/configuration.md"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Regexp(t, `exit status[^\n]* 78`, string(text), file)
	}
}
