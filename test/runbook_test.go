package test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// remedy is a part of a row's "Do" in docs/operating.md, word for word, and how it is carried out. Exactly one of the other
// fields is set.
type remedy struct {
	text string
	act  func(*runbook) // brings about what the row's "Means" says, does what text says, and sees it over
	by   string         // the test that does so
	left string         // why no program can do it, or that text says what to know and not what to do
}

// runbookRows is docs/operating.md's, row by row.
var runbookRows = mergeRows(processRows, deliveryRows, diskRows, requestRows, accountRows)

func mergeRows(all ...map[string][]remedy) map[string][]remedy {
	rows := map[string][]remedy{}
	for _, some := range all {
		for name, row := range some {
			rows["Reporterd"+name] = row
		}
	}
	return rows
}

// rowsOfTheRunbook reads the "Do" of each alert.
func rowsOfTheRunbook(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/operating.md")
	require.NoError(t, err)
	rows := map[string]string{}
	for _, section := range regexp.MustCompile(`(?m)^##+ `).Split(string(text), -1) {
		name, _, _ := strings.Cut(section, "\n")
		if !strings.HasPrefix(name, "Reporterd") {
			continue
		}
		_, do, found := strings.Cut(section, "**Do** ")
		require.True(t, found, "%s: what to do", name)
		rows[name] = strings.Join(strings.Fields(do), " ")
	}
	return rows
}

// TestRunbookIsActedOn: every word of every "Do" is carried out by a test, or says why not.
func TestRunbookIsActedOn(t *testing.T) {
	rows := rowsOfTheRunbook(t)
	tests := testNames(t)
	for name, do := range rows {
		var texts []string
		for _, r := range runbookRows[name] {
			texts = append(texts, r.text)
			ways := 0
			for _, set := range []bool{r.act != nil, r.by != "", r.left != ""} {
				if set {
					ways++
				}
			}
			assert.Equal(t, 1, ways, "%s: %s", name, r.text)
			assert.True(t, r.by == "" || slices.Contains(tests, r.by), "%s: no test %s", name, r.by)
		}
		assert.Equal(t, do, strings.Join(texts, " "), "%s: the runbook and the test that acts on it", name)
	}
	for name := range runbookRows {
		assert.Contains(t, rows, name, "a row that the runbook has no longer")
	}
}

// testNames are the tests of this module.
func testNames(t *testing.T) (all []string) {
	t.Helper()
	for _, pattern := range []string{"*_test.go", "../*/*_test.go", "../*/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
				all = append(all, m[1])
			}
		}
	}
	return all
}

// runbookVariable turns on what carries the runbook out.
const runbookVariable = "REPORTERD_RUNBOOK"

// TestRunbook carries out each "Do", on daemons to which it happens what the row's "Means" says.
func TestRunbook(t *testing.T) {
	linuxOnly(t)
	if os.Getenv(runbookVariable) == "" {
		t.Skipf("carries out docs/operating.md on some sixty daemons, in half a minute: %s=1", runbookVariable)
	}
	for name, row := range runbookRows {
		for i, r := range row {
			if r.act == nil {
				continue
			}
			t.Run(strings.TrimPrefix(name, "Reporterd")+"/"+strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				t.Log(r.text)
				b := sandbox(t)
				r.act(&runbook{t: t, backend: b, settings: newSettings(t, b.url)})
			})
		}
	}
}

// runbook is a daemon on which a row is carried out.
type runbook struct {
	t        *testing.T
	backend  *backend
	settings settings
	file     string
	daemon   *daemon
}

// begin starts the daemon.
func (x *runbook) begin() {
	x.t.Helper()
	x.file = x.settings.write(x.t)
	x.daemon = launch(x.t, x.file)
	x.daemon.ready()
}

// restart stops it in good order, as systemctl does, and starts it with the settings as they are now.
func (x *runbook) restart() {
	x.t.Helper()
	x.daemon.stop()
	x.settings.rewrite(x.t, x.file)
	x.daemon = launch(x.t, x.file)
	x.daemon.ready()
}

// reload is what systemctl reload does.
func (x *runbook) reload() { x.daemon.signal(syscall.SIGHUP) }

// run types a command on the daemon's machine; it has to end with 0.
func (x *runbook) run(words ...string) string {
	x.t.Helper()
	out, err := command(x.t, append(words, "--data-dir", x.settings.dataDir())...).CombinedOutput()
	require.NoError(x.t, err, "%s: %s", strings.Join(words, " "), out)
	return string(out)
}

// figure adds up the samples of a metric whose labels are those given, as they stand in the text.
func (x *runbook) figure(name string, labels ...string) (sum float64) {
	x.t.Helper()
	for line := range strings.Lines(metrics(x.daemon)) {
		rest, found := strings.CutPrefix(line, name)
		if !found || rest[0] != '{' && rest[0] != ' ' || slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(rest, l) }) {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndex(rest, " "):]), 64)
		require.NoError(x.t, err)
		sum += value
	}
	return sum
}

// sees waits for what the alert looks at.
func (x *runbook) sees(what string, condition func() bool) {
	x.t.Helper()
	eventually(x.t, 20*time.Second, what, condition)
}

// delivered waits until nothing is pending and n events were delivered.
func (x *runbook) delivered(n uint64) {
	x.t.Helper()
	x.sees("everything is delivered", func() bool {
		e := x.daemon.status().Events
		return e.Pending == 0 && e.Delivered == n
	})
}

// state waits for the state of the only lane.
func (x *runbook) state(state string) {
	x.t.Helper()
	x.sees("the lane is "+state, func() bool {
		lanes := x.daemon.status().Lanes
		return len(lanes) == 1 && lanes[0].State == state
	})
}
