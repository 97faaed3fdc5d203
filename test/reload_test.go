package test

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rewrite replaces a running daemon's configuration file.
func (s settings) rewrite(t testing.TB, file string) {
	t.Helper()
	text, err := os.ReadFile(s.write(t))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
}

// TestReload: a held lane goes on at once with a new token, whether it comes by call or by signal; a bad
// file changes nothing and says what is wrong.
func TestReload(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"call", "signal"} {
		t.Run(by, func(t *testing.T) {
			b := sandbox(t)
			wrong := []any{map[string]any{"id": "1001", "token": "wrong-token-of-1001"}}
			s := newSettings(t, b.url).set("services", wrong)
			file := s.write(t)
			d := launch(t, file)
			d.ready()
			d.send(hit("1001", "app2"))
			d.flush()
			eventually(t, 20*time.Second, "the lane is held", func() bool {
				st := d.status()
				return len(st.Lanes) == 1 && st.Lanes[0].State == "held" && st.Lanes[0].LastError == "service_token_invalid"
			})
			require.NoError(t, os.WriteFile(file, []byte("services: [{id: \"1001\", tokn: x}]\n"), 0o600))
			got := mustCall(t, http.StatusUnprocessableEntity, http.MethodPost, d.admin+"/-/reload", nil)
			assert.Contains(t, got.body, "tokn")
			assert.Contains(t, metrics(d), "reporterd_config_last_reload_successful 0\n")
			d.send(hit("1001", "app2"))
			assert.Equal(t, http.StatusUnprocessableEntity, d.offer(hit("1002", "app2")).status, "the service is not configured yet")

			s.set("services", sandboxServices()).rewrite(t, file)
			begun := time.Now()
			if by == "call" {
				mustCall(t, http.StatusOK, http.MethodPost, d.admin+"/-/reload", nil)
			} else {
				d.signal(syscall.SIGHUP)
				eventually(t, 10*time.Second, "the reload is logged", func() bool {
					return strings.Contains(strings.Join(d.logged(), "\n"), "services reloaded")
				})
			}
			d.send(event{ServiceID: "1002", UserKey: "ukey1", Usage: map[string]uint64{"hits": 1}})
			assert.EqualValues(t, 3, d.drained(5*time.Second).Events.Delivered)
			t.Logf("delivered %v after the reload", time.Since(begun).Round(time.Millisecond))
			assert.Contains(t, metrics(d), "reporterd_config_last_reload_successful 1\n")
			for _, line := range d.logged() {
				assert.NotContains(t, line, "wrong-token-of-1001", "a token in the log")
			}
		})
	}
}

// metrics is what Prometheus would read.
func metrics(d *daemon) string {
	return mustCall(d.t, http.StatusOK, http.MethodGet, d.admin+"/metrics", nil).body
}
