package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/config"
)

func TestShowSaysWhatIsInForceAndWhereFrom(t *testing.T) {
	file := write(t, "batch: {flush_interval: 1500ms}\nservices:\n  - {id: \"1\", token: t0psecret, metrics: [hits]}\n  - {id: \"2\", token_file: token}\n")
	require.NoError(t, os.WriteFile("token", []byte("t0psecret"), 0o600))
	c, err := config.Load(config.Source{File: file, Flags: flags(t, "--listen", "127.0.0.1:1")})
	require.NoError(t, err)
	out, err := c.YAML()
	require.NoError(t, err)
	assert.Contains(t, string(out), "listen: \"127.0.0.1:1\" # --listen\n")
	assert.Contains(t, string(out), "  flush_interval: 1.5s # reporterd.yaml:1\n  max_flush_interval: 20s\n  max_transactions: 1000\n")
	assert.Contains(t, string(out), "    token: \"[redacted]\" # reporterd.yaml:3\n")
	assert.Contains(t, string(out), "  - id: \"2\" # reporterd.yaml:4\n    token_file: \"token\" # reporterd.yaml:4\n")
	assert.NotContains(t, string(out), "t0psecret")
}

func TestShowIsAConfigurationAgain(t *testing.T) {
	c, err := config.Load(config.Source{Sandbox: true})
	require.NoError(t, err)
	out, err := c.YAML()
	require.NoError(t, err)
	again, err := config.Load(config.Source{File: write(t, string(out))})
	require.NoError(t, err)
	assert.Equal(t, c.Batch, again.Batch)
	assert.Equal(t, c.Spool, again.Spool)
	assert.Equal(t, c.NATS, again.NATS)
	assert.Len(t, again.Services, 5)
}

func TestSecretsShowInNoForm(t *testing.T) {
	s := config.Secret("t0psecret")
	for _, verb := range []string{"%v", "%s", "%q", "%x", "%+v", "%#v", "%d"} {
		assert.Equal(t, "[redacted]", fmt.Sprintf(verb, s), verb)
	}
	out, err := json.Marshal(config.Service{ID: "a", Token: s})
	require.NoError(t, err)
	assert.NotContains(t, string(out), "t0psecret")
	assert.Empty(t, config.Secret("").String())
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0": 0, "4096": 4096, "4MiB": 4 * config.MiB, "4 mib": 4 * config.MiB, "1.5GiB": 3 * config.GiB / 2,
		"10GB": 10e9, "7B": 7, "1PiB": config.PiB,
	} {
		got, err := config.ParseSize(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "MiB", "-1", "-1MiB", "1.5", "1e400MiB", "NaNMiB", "9223372036854775808", "99999999PiB", "4Mi"} {
		_, err := config.ParseSize(text)
		assert.Error(t, err, text)
	}
	assert.Equal(t, "4MiB", (4 * config.MiB).String())
	assert.Equal(t, "1536KiB", (3 * config.MiB / 2).String())
	assert.Equal(t, "0B", config.Size(0).String())
	assert.Equal(t, "10000000001B", config.Size(10000000001).String())
}
