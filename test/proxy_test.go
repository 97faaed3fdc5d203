package test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestProxy: the backend is reached through the proxy that the environment names, as docs/configuration.md says. The sandbox
// stands in for the proxy: it takes requests for any host.
func TestProxy(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	cmd := command(t, "serve", "--config", newSettings(t, "http://backend.example").write(t))
	cmd.Env = append(cmd.Env, "HTTP_PROXY="+b.url)
	d := &daemon{process: start(t, cmd)}
	d.ready()
	d.send(hit("1001", "app1"))
	assert.EqualValues(t, 1, d.drained(10*time.Second).Events.Delivered)
	assert.EqualValues(t, 1, b.usage()["1001"]["app1"]["hits"])
}
