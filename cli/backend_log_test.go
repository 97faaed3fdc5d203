package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestLogOfAWrongBackendURL: the first line says what cannot be reached, what becomes of usage, and where to look.
func TestLogOfAWrongBackendURL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := start(t, dir, "serve", "--config", configFile(t, dir, "data_dir: reporterd-data\nlisten: \"127.0.0.1:0\"\nadmin: {listen: \"127.0.0.1:0\"}\n"+
		"spool: {max_bytes: 256MiB, min_free_bytes: 0B}\nbackend: {url: \"http://127.0.0.1:1\"}\nservices: [{id: \"1001\", token: t0psecret}]\n"))
	d.ready()
	fine(t, dir, "send --service 1001 --app app1 --usage hits=1")
	var line struct {
		Level, Msg, URL, Advice, Since, Error string
		Service                               string `json:"service_id"`
	}
	d.eventually("it is said", func() bool {
		for text := range strings.Lines(d.logged()) {
			if strings.Contains(text, "cannot reach 3scale") {
				return json.Unmarshal([]byte(text), &line) == nil
			}
		}
		return false
	})
	assert.Equal(t, "warn", line.Level)
	assert.Equal(t, "cannot reach 3scale: usage stays on disk and is retried", line.Msg)
	assert.Equal(t, "http://127.0.0.1:1", line.URL)
	assert.Equal(t, "1001", line.Service)
	assert.Contains(t, line.Error, "connection refused")
	assert.Contains(t, line.Advice, "backend.url")
	assert.NotEmpty(t, line.Since)
	assert.NotContains(t, d.logged(), "t0psecret")
}
