package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/internal/mutation"
)

const (
	mutantsVariable = "REPORTERD_MUTANTS"
	mutantCycles    = "40" // kills in which a mutant has to be found out
)

// mutant is one way to break the daemon: one place in one file.
type mutant struct{ name, file, old, new string }

func (m *mutant) change() mutation.Change {
	return mutation.Change{File: filepath.Join("..", m.file), Old: m.old, New: m.new}
}

// mutants are those that the crash test has to notice.
var mutants = []mutant{
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
		mutation.Apply(t, m.name, m.change())
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
			program := mutate(t, m.change())
			cmd := exec.Command(self, "-test.run", "^TestCrash$", "-test.count", "1")
			cmd.Env = append(os.Environ(), binaryVariable+"="+program, crashCyclesVariable+"="+mutantCycles)
			out, err := cmd.CombinedOutput()
			assert.Error(t, err, "it passed")
			assert.Contains(t, string(out), "--- FAIL: TestCrash")
		})
	}
}

// mutate builds the daemon with one change in one file, and returns the program.
func mutate(t *testing.T, change mutation.Change) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "reporterd")
	cmd := exec.Command("go", "build", "-overlay", mutation.Overlay(t, change), "-o", program, "./cmd/reporterd")
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}
