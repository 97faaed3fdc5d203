package spool_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/internal/mutation"
)

var allMutants = slices.Concat(mutants, troubleMutants, manifestMutants)

// TestMutantsApply keeps the mutants in step with the code: each one's text stands there exactly once.
func TestMutantsApply(t *testing.T) {
	for _, m := range allMutants {
		mutation.Apply(t, m.name, m.texts()...)
	}
}

// TestMutants judges the model test: it breaks the spool in one way after the other and expects it to
// notice.
func TestMutants(t *testing.T) {
	if os.Getenv("REPORTERD_MUTANTS") == "" {
		t.Skip("takes minutes: set REPORTERD_MUTANTS=1")
	}
	for _, m := range allMutants {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			output, err := m.run(t)
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "it lives:\n%s", output)
			require.NotContains(t, output, "[build failed]")
			require.Contains(t, output, "--- FAIL: "+m.test()+" ", "something else died:\n%s", output)
			t.Log(verdict(output))
		})
	}
}

// judges are the tests of mutants whose occasion is too rare for random histories.
var judges = map[string]string{
	"sync at a start what an earlier sync may have dropped": "TestModelRestarts",
	"write a footer behind frames that are not durable":     "TestModelRestarts",

	"take a frame of another log":            "TestDamage",
	"forget where the last cut was":          "TestEmptySegmentReplacesNothing",
	"take a failed read for a torn end":      "TestStartWithAnyFailedReadTakesNothingAway",
	"go on behind a segment not read":        "TestStartWithAnyFailedReadTakesNothingAway",
	"give up what failed three times":        "TestRunningReadersWaitForTheDisk",
	"believe the first reading of damage":    "TestWhatReadsWellTheSecondTimeIsNotDamaged",
	"pass over damage that is not set aside": "TestDamageThatCannotBeSetAsideStops",

	"manifest not written before the answer":               "TestManifestKnowsWhatWasAcknowledgedBeforeAKill",
	"torn end believed although the manifest knows better": "TestWhatIsGoneFromTheJournalIsLost",
	"what the manifest knows to be accepted is forgotten":  "TestWhatIsGoneFromTheJournalIsLost",
	"numbers of a lost end used again":                     "TestBatchLogLostItsEnd",
	"batches of a log without its end sent again":          "TestBatchLogLostItsEnd",
	"restored copy sent again":                             "TestOldCopyIsNotSentAgain",
	"go on behind a torn end that is not set aside":        "TestTornEndThatCannotBeKeptEndsTheStart",
}

// test names the test that has to notice.
func (m *mutant) test() string {
	if judge := judges[m.name]; judge != "" {
		return judge
	}
	if m.damage {
		return "TestModelDamage"
	}
	if slices.ContainsFunc(troubleMutants, func(t mutant) bool { return t.name == m.name }) {
		return "TestModelTrouble"
	}
	return "TestModel"
}

// texts are the changes of the mutant.
func (m *mutant) texts() (all []mutation.Change) {
	for _, c := range m.changes {
		all = append(all, mutation.Change{File: c.file, Old: c.old, New: c.new})
	}
	return all
}

// run tests the package with the mutant in it.
func (m *mutant) run(t *testing.T) (output string, err error) {
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run=^"+m.test()+"$", "-overlay="+mutation.Overlay(t, m.texts()...), ".")
	cmd.Env = append(os.Environ(), "REPORTERD_MODEL_HISTORIES=3000")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// verdict returns what the model test complained about first.
func verdict(output string) string {
	_, complaint, _ := strings.Cut(output, "seed ")
	seed, complaint, _ := strings.Cut(complaint, ":")
	_, complaint, _ = strings.Cut(complaint, "\n")
	complaint, _, _ = strings.Cut(complaint, "\n")
	return "seed " + seed + ": " + strings.TrimSpace(complaint)
}
