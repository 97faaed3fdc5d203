package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	mutantsVariable = "REPORTERD_MUTANTS"
	mutantCycles    = "40" // kills in which a mutant has to be found out
)

// mutants are ways to break the daemon that the crash test has to notice: one place in one file each.
var mutants = []struct{ name, file, old, new string }{
	{"acknowledge before it is written", "spool/journal.go",
		"	if leads {\n		j.commit(own)\n	}\n",
		"	if leads {\n		go func() { time.Sleep(2 * time.Millisecond); j.commit(own) }()\n	}\n	if own != nil {\n		return duplicates, nil\n	}\n"},
	{"forget ids at a restart", "spool/ids.go",
		"		j.dedupe.add(m, stamp)\n", "		_ = stamp\n"},
	{"do not record attempts", "spool/batches.go",
		"	return s.batches.note(&record{kind: recordAttempt, id: id, at: at.UnixNano()})\n", "	return nil\n"},
	{"call a lost answer a refusal", "sender/verdict.go",
		"	return Verdict{Kind: Ambiguous, Code: \"no_answer\"}\n", "	return Verdict{Kind: Retry, Code: \"no_answer\"}\n"},
	{"take a lost answer for a yes", "sender/verdict.go",
		"	return Verdict{Kind: Ambiguous, Code: \"no_answer\"}\n", "	return Verdict{Kind: Delivered, Code: \"no_answer\"}\n"},
}

// TestCrashMutantsApply keeps the mutants in step with the code: each one's text stands there exactly once.
func TestCrashMutantsApply(t *testing.T) {
	for _, m := range mutants {
		source, err := os.ReadFile(filepath.Join("..", m.file))
		require.NoError(t, err, m.name)
		assert.Equal(t, 1, strings.Count(string(source), m.old), "%s: %s: %q", m.name, m.file, m.old)
	}
}

// TestCrashMutants judges the crash test: a daemon broken on purpose must not pass it.
func TestCrashMutants(t *testing.T) {
	if os.Getenv(mutantsVariable) == "" {
		t.Skipf("builds broken daemons and kills them for minutes: set %s=1", mutantsVariable)
	}
	self, err := os.Executable()
	require.NoError(t, err)
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			program := mutate(t, m.file, m.old, m.new)
			cmd := exec.Command(self, "-test.run", "^TestCrash$", "-test.count", "1")
			cmd.Env = append(os.Environ(), binaryVariable+"="+program, crashCyclesVariable+"="+mutantCycles)
			out, err := cmd.CombinedOutput()
			assert.Error(t, err, "it passed")
			assert.Contains(t, string(out), "--- FAIL: TestCrash")
		})
	}
}

// mutate builds the daemon with one change in one file, and returns the program.
func mutate(t *testing.T, file, old, new string) string {
	t.Helper()
	source, err := filepath.Abs(filepath.Join("..", file))
	require.NoError(t, err)
	text, err := os.ReadFile(source)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(text), old), "the place to change in %s", file)
	dir := t.TempDir()
	changed := filepath.Join(dir, "changed.go")
	require.NoError(t, os.WriteFile(changed, []byte(strings.Replace(string(text), old, new, 1)), 0o600))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	program := filepath.Join(dir, "reporterd")
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "./cmd/reporterd")
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}
