package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A daemon is killed while dead letters are requeued, again and again. They die once more, since it is unknown
// their application: in the end each is there, once.
func TestKilledWhileRequeueing(t *testing.T) {
	t.Parallel()
	const letters = 200
	dir := t.TempDir()
	d := sandboxed(t, dir)
	traffic, admin := d.ready()
	var events []string
	for i := range letters {
		at := time.Now().Add(-time.Duration(i) * time.Minute).Unix()
		events = append(events, fmt.Sprintf(`{"service_id":"1001","app_id":"nosuch","usage":{"hits":1},"timestamp":%d}`, at))
	}
	status, answer := send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/events", "["+strings.Join(events, ",")+"]")
	require.Equal(t, http.StatusAccepted, status, answer)
	d.eventually("all are dead", func() bool { return counts(t, admin)["dead"] == letters })

	landed := 0
	for round := range 4 {
		cmd := command(t, dir, nil, "deadletter", "requeue", "--all", "--yes", "--data-dir", "reporterd-data")
		require.NoError(t, cmd.Start())
		if round%2 == 1 { // in the remaining rounds the command may find no daemon, and open the directory itself
			d.eventually("the first are requeued", func() bool { return strings.Contains(d.logged(), "dead letter requeued") })
		}
		d.kill()
		_ = cmd.Wait() // its daemon is gone, or it is done
		d = sandboxed(t, dir)
		_, admin = d.ready()
		if !strings.Contains(fine(t, dir, "spool stats"), "live batches: 0,") {
			landed++
		}
		d.eventually("all are dead again", func() bool { return counts(t, admin)["pending"] == 0 })
		seen := map[string]int{}
		for text := range strings.Lines(fine(t, dir, "deadletter ls -o json")) {
			var letter struct{ Timestamp string }
			require.NoError(t, json.Unmarshal([]byte(text), &letter), text)
			seen[letter.Timestamp]++
		}
		assert.Len(t, seen, letters)
		for at, n := range seen {
			assert.Equal(t, 1, n, at)
		}
		events := counts(t, admin)
		assert.EqualValues(t, letters, events["dead"])
		assert.EqualValues(t, letters, events["accepted"])
	}
	t.Logf("after %d of 4 kills the next start found requeued batches", landed)
}
