package cli_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func now() string { return time.Now().UTC().Format(time.RFC3339) }

// A running daemon is looked into: nothing it holds is disturbed, and nothing secret is printed.
func TestLookingIntoADaemon(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := sandboxed(t, dir)
	traffic, _ := d.ready()
	fault := `{"report":{"status":500,"times":1000}}`
	status, answer := send(t, http.DefaultClient, http.MethodPut, "http://"+d.address("sandbox")+"/sandbox/faults", fault)
	require.Less(t, status, 300, answer)
	body := `[{"service_id":"1001","app_id":"app1","usage":{"hits":1}},{"service_id":"1002","user_key":"ukey1","usage":{"hits":2}}]`
	status, answer = send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/events", body)
	require.Equal(t, http.StatusAccepted, status, answer)

	var stats struct {
		Events map[string]uint64 `json:"events"`
		InUse  bool              `json:"in_use"`
		Lanes  []struct {
			ServiceID string `json:"service_id"`
			Batches   int
		}
	}
	d.eventually("sealed", func() bool {
		require.NoError(t, json.Unmarshal([]byte(fine(t, dir, "spool stats -o json")), &stats))
		return len(stats.Lanes) == 2 && stats.Lanes[0].Batches == 1
	})
	assert.True(t, stats.InUse)
	assert.EqualValues(t, 2, stats.Events["accepted"])
	assert.EqualValues(t, 2, stats.Events["pending"])
	assert.Contains(t, fine(t, dir, "spool ls"), " active\n")
	assert.Contains(t, fine(t, dir, "spool verify"), "in use by a daemon")
	assert.Contains(t, fine(t, dir, "spool verify"), "no damage\n")

	segment := strings.Fields(strings.Split(fine(t, dir, "spool ls"), "\n")[1])[0]
	assert.Contains(t, fine(t, dir, "spool show "+segment), "fine      accepted 20")
	batch := fine(t, dir, "spool show 000000000002-0001")
	assert.Contains(t, batch, "user key [redacted]")
	assert.NotContains(t, batch, "ukey1")
	assert.Contains(t, fine(t, dir, "spool show 000000000002-0001 --reveal-user-keys"), "ukey1")
	status, _, stderr := runIn(t, dir, "spool show 000000000099-0000")
	assert.Equal(t, 2, status)
	assert.Contains(t, stderr, "no such live batch")
}

func TestVerifyFindsDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, _ := withDeadLetters(t, dir)
	require.Equal(t, 0, d.stop())
	assert.Contains(t, fine(t, dir, "spool verify --all"), "fine")
	segments, err := filepath.Glob(filepath.Join(dir, "reporterd-data", "batches", "*.seg"))
	require.NoError(t, err)
	data, err := os.ReadFile(segments[0])
	require.NoError(t, err)
	data[100] ^= 4
	require.NoError(t, os.WriteFile(segments[0], data, 0o600))

	status, stdout, stderr := runIn(t, dir, "spool verify")
	assert.Equal(t, 1, status)
	assert.Regexp(t, `batches/\S+ +damaged +\d+ bytes at offset 32 would be quarantined`, stdout)
	assert.Equal(t, "damage in 1 file\n", stderr)
	status, stdout, _ = runIn(t, dir, "spool verify -o json")
	assert.Equal(t, 1, status)
	assert.Contains(t, stdout, `"state":"damaged"`)
	assert.NotContains(t, stdout, "\x1b", "colours are for terminals")
}
