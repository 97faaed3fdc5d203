package test

import (
	"encoding/json"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// cable is a TCP proxy between daemon and backend that can be cut and made worse.
type cable struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
}

// toxic is one way to make a cable worse. Upstream is what the daemon sends, downstream what it is
// answered.
type toxic struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`
	Attributes map[string]int `json:"attributes"`
}

// newCable leads to a base URL.
func newCable(t testing.TB, to string) *cable {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	c := &cable{t: t, proxy: toxiproxy.NewProxy(server, "backend", "127.0.0.1:0", strings.TrimPrefix(to, "http://"))}
	c.join()
	t.Cleanup(c.proxy.Stop)
	return c
}

func (c *cable) url() string { return "http://" + c.proxy.Listen }

// cut closes every connection and refuses new ones.
func (c *cable) cut() { c.proxy.Stop() }

// join ends a cut.
func (c *cable) join() { require.NoError(c.t, c.proxy.Start()) }

// worsen adds a toxic to every connection, also to those that exist.
func (c *cable) worsen(x toxic) {
	text, err := json.Marshal(x)
	require.NoError(c.t, err)
	_, err = c.proxy.Toxics.AddToxicJson(strings.NewReader(string(text)))
	require.NoError(c.t, err)
}

// heal takes the toxics away.
func (c *cable) heal() { c.proxy.Toxics.ResetToxics(c.t.Context()) }
