package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documents returns the pages of the manual and the README.
func documents(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	pages := map[string]string{}
	for _, file := range append(files, "../README.md") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		pages[filepath.Base(file)] = string(text)
	}
	require.Greater(t, len(pages), 20)
	return pages
}

var (
	blockPattern   = regexp.MustCompile("(?s)\n *```(\\w*)\n(.*?)\n *```")
	inlinePattern  = regexp.MustCompile("`reporterd ([^`]+)`")
	commandPattern = regexp.MustCompile(`(?m)^ *(?:\$ )?(?:sudo )?reporterd ((?:[^\n\\]|\\\n)+)`)
	commentPattern = regexp.MustCompile(`\s+#.*|\s+[|>].*`)
)

// TestDocumentedCommands: every command line of the manual is one that this version takes: the command, its options and, in
// examples, its arguments.
func TestDocumentedCommands(t *testing.T) {
	seen := 0
	check := func(page, line string, whole bool) {
		args := strings.Fields(strings.ReplaceAll(commentPattern.ReplaceAllString(line, ""), `\`, ""))
		if len(args) == 0 || args[0] == "COMMAND" {
			return
		}
		seen++
		cmd, rest, err := newRoot().Find(args)
		if !assert.NoError(t, err, "%s: reporterd %s", page, line) {
			return
		}
		cmd.InitDefaultHelpFlag()
		cmd.InitDefaultVersionFlag()
		if assert.NoError(t, cmd.ParseFlags(rest), "%s: reporterd %s", page, line) && whole {
			assert.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), "%s: reporterd %s", page, line)
		}
	}
	for page, text := range documents(t) {
		for _, block := range blockPattern.FindAllStringSubmatch(text, -1) {
			for _, found := range commandPattern.FindAllStringSubmatch(block[2], -1) {
				check(page, found[1], block[1] == "sh")
			}
		}
		for _, found := range inlinePattern.FindAllStringSubmatch(blockPattern.ReplaceAllString(text, "\n"), -1) {
			check(page, found[1], false)
		}
	}
	assert.Greater(t, seen, 100)
}

// TestDocumentedConfiguration: every key that an example of the manual sets is a key of this version.
func TestDocumentedConfiguration(t *testing.T) {
	section := regexp.MustCompile(`(?m)^(data_dir|backend|services|spool|nats|portal|reconcile|cluster|sender|batch|admin|auth|tls|dedupe|gate|proxies)\s*:`)
	seen := 0
	for page, text := range documents(t) {
		for _, block := range blockPattern.FindAllStringSubmatch(text, -1) {
			if block[1] != "yaml" || !section.MatchString(block[2]) {
				continue
			}
			seen++
			file := filepath.Join(t.TempDir(), "reporterd.yaml")
			require.NoError(t, os.WriteFile(file, []byte(block[2]+"\n"), 0o600))
			var out, errs bytes.Buffer
			if strings.Contains(block[2], "\n  rules:\n") { // of the gate
				assert.Zero(t, Run(context.Background(), []string{"gate", "check", "--rules", file}, &out, &errs), "%s: %s", page, errs.String())
				continue
			}
			Run(context.Background(), []string{"config", "check", "--config", file}, &out, &errs) // files that it names are not here
			assert.NotRegexp(t, "unknown key|not YAML|cannot be parsed", errs.String(), "%s:\n%s", page, block[2])
		}
	}
	assert.Greater(t, seen, 6)
}
