package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fault has the sandbox behave as a JSON text says.
func (d *daemon) fault(text string) {
	d.t.Helper()
	status, body := send(d.t, http.DefaultClient, http.MethodPut, "http://"+d.address("sandbox")+"/sandbox/faults", text)
	require.Less(d.t, status, 300, body)
}

// From an event on the command line to the ledger: sent, flushed, shown.
func TestFromAnEventToTheLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := sandboxed(t, dir)
	d.ready()
	assert.Regexp(t, `^1 event accepted, id send-\w+-1\n$`, fine(t, dir, "send --service 1001 --app app1 --usage hits=3"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "events.json"), []byte(`[{"service_id":"1002","app_id":"app1","usage":{"hits":1}},
		{"service_id":"1002","app_id":"app1","usage":{"hits":1},"id":"mine"}]`), 0o600))
	assert.Regexp(t, `^2 events accepted in `, fine(t, dir, "send events.json"))
	assert.Regexp(t, `^0 events accepted, 2 known already by their ids in `, fine(t, dir, "send events.json"), "the same file, sent again")
	assert.Regexp(t, `(?m)^1001 +delivered +0 +0 +flowing$|^nothing was waiting$`, fine(t, dir, "flush"), "on a slow machine it has left by itself")
	assert.Contains(t, fine(t, dir, "status"), "3 accepted = 3 delivered + 0 dead + 0 pending + 0 lost")
	d.eventually("the ledger has booked it", func() bool {
		return strings.Contains(fine(t, dir, "ledger --group service,metric"), "1002     hits           2          2")
	})
	status, stdout, stderr := runIn(t, dir, "ledger --service 1009")
	assert.Equal(t, 2, status)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, `--service: "1009": unknown`)
	assert.Contains(t, fine(t, dir, "reload"), "read again: no key has changed")

	require.Equal(t, 0, d.stop())
	assert.Contains(t, fine(t, dir, "ledger --output csv --group service"), ",1001,3,3,0,0,0,0,0,0,0,0,0\n", "out of the directory")
	for _, line := range []string{"status", "flush", "top", "reload", "parked ls", "send --service 1001 --app app1 --usage hits=1 --timeout 100ms"} {
		status, _, stderr := runIn(t, dir, line)
		assert.Equal(t, 1, status, line)
		assert.Contains(t, stderr, "is it running?", line)
	}
}

// Without any option a command finds the daemon of serve --sandbox that was started in the same directory.
func TestCommandsFindTheSandbox(t *testing.T) {
	dir := t.TempDir()
	d := sandboxed(t, dir)
	d.ready()
	status, stdout, stderr := execute(t, dir, nil, "status")
	assert.Equal(t, 0, status, stderr)
	assert.Contains(t, stdout, "health   ok")
}

// A flush with the backend away says so, lane by lane, and tries a held lane: once the backend takes the token, it is delivered.
func TestFlushSaysWhatCameOfIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := sandboxed(t, dir)
	d.ready()
	d.fault(`{"report":{"status":403,"body":"<error code=\"service_token_invalid\">no</error>"}}`)
	fine(t, dir, "send --service 1001 --app app1 --usage hits=1")
	status, stdout, stderr := runIn(t, dir, "flush")
	assert.Equal(t, 1, status)
	assert.Regexp(t, `(?m)^1001 +failed +1 +1 +held +\w+$`, stdout)
	assert.Equal(t, "1 lane not delivered: the usage stays on disk and is retried\n", stderr)
	assert.Regexp(t, `(?m)^1001 +held `, fine(t, dir, "status"))
	d.fault(`{}`)
	assert.Regexp(t, `(?m)^1001 +delivered +0 +0 +flowing$`, fine(t, dir, "flush"))
}

// A parked report is listed, shown, and decided about, once.
func TestParkedCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := startCommand(t, command(t, dir, []string{"REPORTERD_SENDER_ON_AMBIGUOUS=park"}, append([]string{"serve", "--sandbox"}, free...)...))
	d.ready()
	d.fault(`{"report":{"status":504,"landed":true,"times":1}}`)
	fine(t, dir, "send --service 1001 --app app1 --usage hits=1")
	_, stdout, _ := runIn(t, dir, "flush")
	assert.Regexp(t, `(?m)^1001 +parked +1 +1 +parked`, stdout)
	assert.Regexp(t, `(?m)^1001 +parked +1 +1 +1 `, fine(t, dir, "status"))
	id := strings.Fields(strings.Split(fine(t, dir, "parked ls"), "\n")[1])[0]
	assert.Contains(t, fine(t, dir, "parked show "+id), "hits=1")
	assert.Empty(t, fine(t, dir, "parked ls --service 1002"))
	assert.Empty(t, fine(t, dir, "parked ls --older-than 1h"))
	for line, words := range map[string]string{
		"parked ls --service 9": "unknown", "parked show x": "no such parked batch", "parked bury": "say --all", "parked resend --all": "expected --yes",
		"parked counted " + id + " --all": "cannot be given together",
	} {
		status, _, stderr := runIn(t, dir, line)
		assert.Equal(t, 2, status, line)
		assert.Contains(t, stderr, words, line)
	}
	assert.Equal(t, "counted: 1 parked report with 1 event\n", fine(t, dir, "parked counted "+id+" --yes"))
	status, _, stderr := runIn(t, dir, "parked counted "+id+" --yes")
	assert.Equal(t, 2, status)
	assert.Contains(t, stderr, "no such parked batch")
	assert.Contains(t, fine(t, dir, "status"), "1 accepted = 1 delivered + 0 dead + 0 pending + 0 lost")
}

// A file of many requests is sent whole across answers that never came, and each event is counted once.
func TestSendRepeatsWhatWasNotAnswered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := sandboxed(t, dir)
	traffic, admin := d.ready()
	var text strings.Builder
	for i := range 25 {
		fmt.Fprintf(&text, `{"service_id":"1001","app_id":"app%d","usage":{"hits":1}}`+"\n", i%2+1)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "e.ndjson"), []byte(text.String()), 0o600))
	lossy := lossyProxy(t, traffic)
	out := fine(t, dir, "send e.ndjson --batch 10 --output json --timeout 20s --url "+lossy)
	var sum, duplicates, last int
	for line := range strings.Lines(out) {
		var r struct {
			Last       int `json:"last_event"`
			Accepted   int `json:"accepted"`
			Duplicates int `json:"duplicates"`
			IDs        []string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &r), line)
		assert.Len(t, r.IDs, r.Accepted+r.Duplicates)
		sum, duplicates, last = sum+r.Accepted, duplicates+r.Duplicates, r.Last
	}
	assert.Equal(t, 25, last)
	assert.Equal(t, 25, sum+duplicates)
	assert.Positive(t, duplicates, "an answer was lost")
	assert.EqualValues(t, 25, counts(t, admin)["accepted"])
}

// What is refused is named by its place in the file, and what came before it stays.
func TestSendNamesTheEventThatIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := sandboxed(t, dir)
	_, admin := d.ready()
	lines := strings.Repeat(`{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`+"\n", 12) + `{"service_id":"1001","app_id":"app1","usage":{"hits":-1}}` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "e.ndjson"), []byte(lines), 0o600))
	status, _, stderr := runIn(t, dir, "send e.ndjson --batch 10")
	assert.Equal(t, 1, status)
	assert.Regexp(t, `^e.ndjson: refused\nevent 13: usage.*\n10 events on disk, the rest is not; run the command again: those are not counted twice\n$`, stderr)
	assert.EqualValues(t, 10, counts(t, admin)["accepted"])
	for line, words := range map[string]string{
		"send --service 1001": "expected --service and --usage", "send": "expected a file", "send nosuch": "no such file", "send e.ndjson --ids x": "--ids",
		"send --service 1001 --usage hits": "--usage: \"hits\": expected metric=value", "send e.ndjson --service 1001 --usage hits=1": "not both",
		"send e.ndjson --batch 0": "--batch: 0", "send a b": "expected one file", "send e.ndjson --url ftp:x": "--url", "send e.ndjson --token-file nosuch": "--token-file",
	} {
		status, _, stderr := runIn(t, dir, line)
		assert.Equal(t, 2, status, line)
		assert.Contains(t, stderr, words, line)
	}
}

// Completion offers what the daemon has, and never the names of files for what is no file.
func TestCompletionOfValues(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, _ = withDeadLetters(t, dir)
	complete := func(line string) (values []string, directive int) {
		words := strings.Fields(line)
		at := slices.IndexFunc(words, func(w string) bool { return w == "_" || strings.HasPrefix(w, "--") })
		words = slices.Insert(words, at, "--data-dir", "reporterd-data")
		words[len(words)-1] = strings.TrimSuffix(words[len(words)-1], "_") // what is typed
		status, stdout, stderr := execute(t, dir, nil, append([]string{"__complete"}, words...)...)
		require.Equal(t, 0, status, stderr)
		for text := range strings.Lines(stdout) {
			text = strings.TrimSuffix(text, "\n")
			if n, ok := strings.CutPrefix(text, ":"); ok {
				directive, _ = strconv.Atoi(n)
				continue
			}
			value, _, _ := strings.Cut(text, "\t")
			values = append(values, value)
		}
		return values, directive
	}
	letters := lettersOf(t, dir, "deadletter ls -o json")
	id := letters["application_not_found"]["id"].(string)
	for line, want := range map[string]string{
		"deadletter ls --service _": "1001", "deadletter ls --reason app_": "application_not_found", "deadletter ls --output _": "json", "deadletter show _": id,
		"deadletter requeue _": id, "ledger --by _": "month", "parked ls --service _": "1005", "deadletter ls --since _": "7d", "config show --log-level _": "warn",
	} {
		values, directive := complete(line)
		assert.Contains(t, values, want, line)
		assert.NotZero(t, directive&4, "%s: no file names", line)
	}
}
