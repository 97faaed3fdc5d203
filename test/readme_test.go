package test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// defaultAddresses are the ones the README and the manual name.
var defaultAddresses = map[string]string{
	"traffic": "127.0.0.1:7070", "admin": "127.0.0.1:7071", "sandbox": "127.0.0.1:7072",
}

// shellBlocks returns the shell commands of README.md, block by block.
func shellBlocks(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(text, -1) {
		blocks = append(blocks, string(m[1]))
	}
	return blocks
}

// shell runs commands as a user would paste them, and returns what they print.
func shell(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "sh", "-euc", script).CombinedOutput()
	require.NoError(t, err, "%s\n%s", script, out)
	return string(out)
}

// quickStart runs the README's first command, on free ports and with a directory of its own, and returns
// once it has printed what to try.
func quickStart(t *testing.T) *process {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl, as the README's reader does")
	}
	p := reporterd(t, "serve", "--sandbox", "--log-format", "json", "--data-dir", filepath.Join(t.TempDir(), "reporterd-data"),
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--sandbox-listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0")
	eventually(t, 10*time.Second, "it prints what to try", func() bool {
		require.False(t, p.gone(), "%s", tail(p.logged(), 20))
		return strings.Contains(p.printed(), "Ctrl-C")
	})
	return p
}

// counted is one event at the sandbox.
const counted = `{"1001":{"app1":{"hits":1}}}`

// TestReadme runs the README's commands: one to start everything, the others to see it work.
func TestReadme(t *testing.T) {
	blocks := shellBlocks(t)
	require.GreaterOrEqual(t, len(blocks), 3)
	assert.Equal(t, "go run ./cmd/reporterd serve --sandbox\n", blocks[0], "the first command")
	assert.Equal(t, "go test ./...\n", blocks[2], "the second")
	begin := time.Now()
	p := quickStart(t)
	script := blocks[1]
	for listener, address := range defaultAddresses {
		script = strings.ReplaceAll(script, address, p.await(listener))
	}
	out := shell(t, script)
	assert.Less(t, time.Since(begin), 10*time.Second)
	assert.Contains(t, out, `"accepted":1`)
	assert.Contains(t, strings.Join(strings.Fields(out), ""), counted)
}

// TestPrintedCommands runs what `serve --sandbox` prints: one command sends an event, one shows it counted
// a second later, and the others work too.
func TestPrintedCommands(t *testing.T) {
	begin := time.Now()
	p := quickStart(t)
	commands := indentedCommands(p.printed())
	require.GreaterOrEqual(t, len(commands), 3, "%s", p.printed())
	assert.Contains(t, shell(t, commands[0]), `"accepted":1`)
	require.Contains(t, commands[1], "/sandbox/usage")
	eventually(t, 10*time.Second, "the event is counted", func() bool {
		return strings.Contains(shell(t, commands[1]), `{"1001":{"app1":{"hits":1`)
	})
	assert.Less(t, time.Since(begin), 10*time.Second)
	for _, command := range commands[2:] {
		shell(t, command)
	}
	assert.Contains(t, shell(t, commands[1]), `"app2":{"hits":3`)
}

// indentedCommands are the printed lines to be pasted: those set in, with what a backslash continues.
func indentedCommands(printed string) []string {
	var commands []string
	for _, line := range strings.Split(strings.ReplaceAll(printed, "\\\n", " "), "\n") {
		if command, ok := strings.CutPrefix(line, "  "); ok && strings.HasPrefix(command, "curl ") {
			commands = append(commands, command)
		}
	}
	return commands
}
