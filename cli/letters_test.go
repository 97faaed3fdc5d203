package cli_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counts reads the events of /api/v1/status.
func counts(t *testing.T, admin string) map[string]uint64 {
	t.Helper()
	_, body := get(t, admin+"/api/v1/status")
	var page struct{ Events map[string]uint64 }
	require.NoError(t, json.Unmarshal([]byte(body), &page), body)
	return page.Events
}

// withDeadLetters starts a daemon that has two dead letters: three events of an unknown application and two of
// an unknown user key.
func withDeadLetters(t *testing.T, dir string) (d *daemon, admin string) {
	t.Helper()
	d = sandboxed(t, dir)
	traffic, admin := d.ready()
	unknown := `{"service_id":"1001","app_id":"nosuch","usage":{"hits":1},"timestamp":"` + now() + `"}`
	secret := `{"service_id":"1002","user_key":"t0psecret","usage":{"hits":2},"timestamp":"` + now() + `"}`
	body := "[" + strings.Join([]string{unknown, secret, unknown, secret, unknown}, ",") + "]"
	status, answer := send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/events", body)
	require.Equal(t, http.StatusAccepted, status, answer)
	d.eventually("both are dead", func() bool { return counts(t, admin)["dead"] == 5 })
	return d, admin
}

// run executes a command on the daemon's directory, and returns what it printed.
func runIn(t *testing.T, dir, line string) (status int, stdout, stderr string) {
	t.Helper()
	return execute(t, dir, nil, append(strings.Fields(line), "--data-dir", "reporterd-data")...)
}

// fine is a command that has to succeed.
func fine(t *testing.T, dir, line string) string {
	t.Helper()
	status, stdout, stderr := runIn(t, dir, line)
	require.Equal(t, 0, status, "%s: %s", line, stderr)
	return stdout
}

// lettersOf lists dead letters as JSON, by reason.
func lettersOf(t *testing.T, dir, line string) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{}
	for text := range strings.Lines(fine(t, dir, line)) {
		var letter map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &letter), text)
		found[letter["reason"].(map[string]any)["code"].(string)] = letter
	}
	return found
}

// The commands work alike on a daemon, through its admin API, and on a directory that no daemon uses.
func TestDeadLettersOfADaemonAndOfADirectory(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{true, false} {
		t.Run(map[bool]string{true: "daemon", false: "directory"}[running], func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d, _ := withDeadLetters(t, dir)
			if !running {
				require.Equal(t, 0, d.stop())
			}
			all := lettersOf(t, dir, "deadletter ls -o json")
			require.Len(t, all, 2)
			byKey := all["user_key_invalid"]
			assert.Equal(t, "[redacted]", byKey["user_key"])
			assert.EqualValues(t, 2, byKey["events"])
			assert.Len(t, lettersOf(t, dir, "deadletter ls -o json --service 1001 --reason application_not_found --since 1h"), 1)
			assert.Empty(t, lettersOf(t, dir, "deadletter ls -o json --older-than 1h"))
			assert.Regexp(t, `(?m)^\S+ +\S+Z +1001 +nosuch +3 +application_not_found$`, fine(t, dir, "deadletter ls"))

			id := byKey["id"].(string)
			for _, line := range []string{"deadletter ls", "deadletter show " + id, "deadletter export", "deadletter export --format csv"} {
				assert.NotContains(t, fine(t, dir, line), "t0psecret", line)
			}
			assert.Contains(t, fine(t, dir, "deadletter show "+id+" --reveal-user-keys"), "t0psecret")
			assert.Contains(t, fine(t, dir, "deadletter export "+id+" --reveal-user-keys"), "t0psecret")
			fine(t, dir, "deadletter export --format csv --file dead.csv")
			rows, err := os.ReadFile(filepath.Join(dir, "dead.csv"))
			require.NoError(t, err)
			assert.Len(t, strings.Split(strings.TrimSpace(string(rows)), "\n"), 3)
			status, _, stderr := runIn(t, dir, "deadletter export --file dead.csv")
			assert.Equal(t, 1, status)
			assert.Contains(t, stderr, "file exists")

			assert.Contains(t, fine(t, dir, "deadletter requeue --all --dry-run"), "would requeue 2 dead letters with 5 events")
			status, _, stderr = runIn(t, dir, "deadletter drop --all")
			assert.Equal(t, 2, status)
			assert.Contains(t, stderr, "drop 2 dead letters with 5 events? expected --yes, since this is no terminal")
			assert.Equal(t, "drop: 1 dead letter with 2 events\n", fine(t, dir, "deadletter drop "+id+" --yes"))
			status, _, stderr = runIn(t, dir, "deadletter requeue --yes "+id)
			assert.Equal(t, 2, status)
			assert.Contains(t, stderr, "no such dead letter")
			status, _, _ = runIn(t, dir, "deadletter show "+id)
			assert.Equal(t, 2, status)
			for _, wrong := range []string{"ls --reason nosuch", "drop --yes --reason application_not_fuond", "requeue --yes --reason nosuch", "export --reason nosuch"} {
				status, stdout, stderr := runIn(t, dir, "deadletter "+wrong)
				assert.Equal(t, 2, status, wrong)
				assert.Empty(t, stdout)
				assert.Contains(t, stderr, "--reason")
			}
			status, stdout, _ := runIn(t, dir, "deadletter ls --reason metric_invalid")
			assert.Equal(t, 0, status, "a reason that none has now")
			assert.Empty(t, stdout)
			assert.Len(t, lettersOf(t, dir, "deadletter ls -o json"), 1)
			if running {
				assert.Regexp(t, `"msg":"dead letter dropped","id":"`+id+`","service_id":"1002"`, d.logged())
			}
			assert.NotContains(t, d.logged(), "t0psecret")
		})
	}
}

// An application is made after its events died: requeued, they are counted, each of them.
func TestRequeuedDeadLettersAreCounted(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{true, false} {
		t.Run(map[bool]string{true: "daemon", false: "directory"}[running], func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d, _ := withDeadLetters(t, dir)
			require.Equal(t, 0, d.stop())
			if !running {
				assert.Equal(t, "requeue: 1 dead letter with 3 events\n", fine(t, dir, "deadletter requeue --service 1001 --yes"))
				assert.Contains(t, fine(t, dir, "spool stats"), "live batches: 1,")
				assert.Contains(t, fine(t, dir, "spool show 000000000001-r"), "events        3 in 1 transaction")
			}
			d = sandboxed(t, dir) // another sandbox, without memory of whom it did not know
			_, admin := d.ready()
			body := `{"service_id":"1001","app_id":"nosuch"}`
			status, answer := send(t, http.DefaultClient, http.MethodPut, "http://"+d.address("sandbox")+"/sandbox/applications", body)
			require.Less(t, status, 300, answer)
			if running {
				assert.Equal(t, "requeue: 1 dead letter with 3 events\n", fine(t, dir, "deadletter requeue --service 1001 --yes"))
				assert.Contains(t, d.logged(), `"msg":"dead letter requeued"`)
			}
			d.eventually("delivered", func() bool { return counts(t, admin)["pending"] == 0 })
			events := counts(t, admin)
			assert.EqualValues(t, events["accepted"], events["delivered"]+events["dead"])
			if running {
				_, usage := get(t, "http://"+d.address("sandbox")+"/sandbox/usage")
				assert.Contains(t, usage, `"nosuch":{"hits":3}`)
			}
			assert.NotContains(t, d.logged(), "t0psecret")
		})
	}
}
