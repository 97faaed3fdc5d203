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

// snippetsVariable turns on the manual's examples in languages that need more than Go and curl.
const snippetsVariable = "REPORTERD_SNIPPETS"

// snippet is an example of the manual.
type snippet struct{ language, text string }

// snippets returns a page's examples that can be run.
func snippets(t *testing.T, page string) (all []snippet) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../docs", page))
	require.NoError(t, err)
	for _, m := range regexp.MustCompile("(?s)\n```(sh|go|python|js)\n(.*?)\n```").FindAllStringSubmatch(string(text), -1) {
		all = append(all, snippet{m[1], m[2] + "\n"})
	}
	return all
}

// run executes an example as its reader would, against a daemon on other ports, and returns what it prints.
func (s snippet) run(t *testing.T, p *process) string {
	t.Helper()
	for listener, address := range defaultAddresses {
		s.text = strings.ReplaceAll(s.text, address, p.await(listener))
	}
	if strings.Contains(s.text, "127.0.0.1:4222") {
		s.text = strings.ReplaceAll(s.text, "127.0.0.1:4222", p.await("nats"))
	}
	file := filepath.Join(t.TempDir(), "example."+map[string]string{"sh": "sh", "go": "go", "python": "py", "js": "js"}[s.language])
	require.NoError(t, os.WriteFile(file, []byte(s.text), 0o600))
	args := map[string][]string{"sh": {"sh", "-eu"}, "go": {"go", "run"}, "python": {"python3"}, "js": {"node"}}[s.language]
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], append(args[1:], file)...).CombinedOutput()
	require.NoError(t, err, "%s\n%s", out, s.text)
	return string(out)
}

// hits flushes and returns what the sandbox has counted for app1.
func hits(t *testing.T, p *process) uint64 {
	t.Helper()
	mustCall(t, 200, "POST", "http://"+p.await("admin")+"/-/flush", nil)
	return read[usage](t, mustCall(t, 200, "GET", "http://"+p.await("sandbox")+"/sandbox/usage", nil))["1001"]["app1"]["hits"]
}

// TestGettingStarted runs the commands of docs/getting-started.md, one after the other, as they stand there.
func TestGettingStarted(t *testing.T) {
	t.Parallel()
	p, said := quickStart(t), ""
	for _, s := range snippets(t, "getting-started.md") {
		said = s.run(t, p)
	}
	assert.Contains(t, strings.Join(strings.Fields(said), ""), `{"1001":{"app1":{"hits":6}}}`)
}

// TestSending runs each example of docs/sending.md: what it sends is counted, once.
func TestSending(t *testing.T) {
	t.Parallel()
	p := quickStart(t)
	all := snippets(t, "sending.md")
	require.Len(t, all, 7)
	for _, s := range all {
		if s.language != "sh" && os.Getenv(snippetsVariable) == "" {
			t.Logf("skipped an example in %s, which needs more than curl: %s=1", s.language, snippetsVariable)
			continue
		}
		before := hits(t, p)
		s.run(t, p)
		want := uint64(strings.Count(s.text, "app1"))
		assert.Equal(t, want, hits(t, p)-before, "%s:\n%s", s.language, s.text)
	}
}

// TestManualLinks: what a page of the manual leads to is there, heading included.
func TestManualLinks(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	for _, page := range append(pages, "../README.md", "../CONTRIBUTING.md", "../ARCHITECTURE.md", "../CHANGELOG.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			content, err := os.ReadFile(target)
			if info, e := os.Stat(target); e == nil && info.IsDir() {
				continue
			}
			if assert.NoError(t, err, "%s: %s", page, m[1]) && anchor != "" {
				assert.Contains(t, headings(string(content)), anchor, "%s: %s", page, m[1])
			}
		}
	}
}

// headings are a page's anchors, as GitHub makes them.
func headings(text string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		kept := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(kept, " ", "-"))
	}
	return all
}

// TestExamplesSayWhatTheySend: curl calls what it sends a form, which is no event. Not every example is run by a test: some
// need tokens, or three NATS servers.
func TestExamplesSayWhatTheySend(t *testing.T) {
	files := []string{"../README.md"}
	for _, pattern := range []string{"../docs/*.md", "../deploy/*/*.yaml", "../deploy/*.yaml"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		files = append(files, found...)
	}
	broken, examples := regexp.MustCompile(`\\\n#?`), 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(broken.ReplaceAllString(string(text), "")) {
			if strings.Contains(line, "curl ") && strings.Contains(line, "/v1/events") && strings.Contains(line, " -d ") {
				examples++
				assert.Contains(t, line, "Content-Type: application/", file)
			}
		}
	}
	assert.Greater(t, examples, 5)
}
