package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/config"
)

// write puts a configuration file into a directory of the test's own, which becomes the working
// directory, so that messages name it without a path.
func write(t *testing.T, text string) string {
	t.Helper()
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("reporterd.yaml", []byte(text), 0o600))
	return "reporterd.yaml"
}

func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	set := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.AddFlags(set)
	require.NoError(t, set.Parse(args))
	return set
}

func TestAnEmptyConfigurationIsTheDefault(t *testing.T) {
	for name, text := range map[string]string{
		"empty file":     "",
		"only comments":  "# nothing\n",
		"empty sections": "batch:\nlisten:\nservices:\nspool: {}\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Load(config.Source{File: write(t, text)})
			require.NoError(t, err)
			want := config.Default()
			assert.Equal(t, want.Batch, c.Batch)
			assert.Equal(t, want.Spool, c.Spool)
			assert.Equal(t, want.Listen, c.Listen)
			assert.Equal(t, "", c.Origin("batch.flush_interval"))
		})
	}
}

func TestFlagsBeatEnvironmentBeatsFileBeatsDefaults(t *testing.T) {
	file := write(t, "listen: 127.0.0.1:1\nadmin: {listen: 127.0.0.1:2}\nbatch:\n  max_bytes: 1MiB\n  flush_interval: 2s\n")
	t.Setenv("REPORTERD_LISTEN", "127.0.0.1:3")
	t.Setenv("REPORTERD_ADMIN_LISTEN", "127.0.0.1:4")
	t.Setenv("REPORTERD_BATCH_MAX_BYTES", "2MiB")
	t.Setenv("REPORTERD_BATCH_AGGREGATE", "false")
	t.Setenv("REPORTERD_SENDER_MAX_IN_FLIGHT", "3")
	c, err := config.Load(config.Source{File: file, Flags: flags(t, "--listen", "unix:/run/r.sock")})
	require.NoError(t, err)

	assert.Equal(t, "unix:/run/r.sock", c.Listen)
	assert.Equal(t, "127.0.0.1:4", c.Admin.Listen)
	assert.Equal(t, 2*config.MiB, c.Batch.MaxBytes)
	assert.Equal(t, 2*time.Second, c.Batch.FlushInterval)
	assert.False(t, c.Batch.Aggregate)
	assert.Equal(t, 3, c.Sender.MaxInFlight)
	assert.Equal(t, 1000, c.Batch.MaxTransactions)

	assert.Equal(t, "--listen", c.Origin("listen"))
	assert.Equal(t, "REPORTERD_ADMIN_LISTEN", c.Origin("admin.listen"))
	assert.Equal(t, "reporterd.yaml:5", c.Origin("batch.flush_interval"))
	assert.Empty(t, c.Origin("batch.max_transactions"))
}

func TestEmptyVariablesAndStrangersChangeNothing(t *testing.T) {
	t.Setenv("REPORTERD_LISTEN", "")
	t.Setenv("REPORTERD_BATCH", "gibberish") // viper's own environment handling would blank the section
	t.Setenv("REPORTERD_PORT", "tcp://10.0.0.1:7070")
	c, err := config.Load(config.Source{})
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:7070", c.Listen)
	assert.Equal(t, 5*time.Second, c.Batch.FlushInterval)
	assert.Contains(t, c.Warnings(), "REPORTERD_BATCH: no such key: the variable has no effect")
	assert.NotContains(t, c.Warnings(), "REPORTERD_PORT: no such key: the variable has no effect")
}

func TestServicesKeepCaseDotsAndOrder(t *testing.T) {
	c, err := config.Load(config.Source{File: write(t, `
services:
  - {id: "My.Service", token: "TokeN", metrics: [Hits, "search.deep"]}
  - {id: "2", provider_key: "pk"}
`)})
	require.NoError(t, err)
	require.Len(t, c.Services, 2)
	assert.Equal(t, "My.Service", c.Services[0].ID)
	assert.Equal(t, "TokeN", string(c.Services[0].Token))
	assert.Equal(t, []string{"Hits", "search.deep"}, c.Services[0].Metrics)
	assert.Equal(t, "pk", string(c.Services[1].ProviderKey))
}

func TestCredentialsComeFromFilesAndVariables(t *testing.T) {
	file := write(t, `
services:
  - {id: a, token_file: token}
  - {id: b, token_env: TOKEN_OF_B}
  - {id: c, provider_key_file: token}
  - {id: d, provider_key_env: TOKEN_OF_B}
`)
	require.NoError(t, os.WriteFile("token", []byte("  from-file\n"), 0o600))
	t.Setenv("TOKEN_OF_B", "from-variable")
	c, err := config.Load(config.Source{File: file})
	require.NoError(t, err)
	assert.Equal(t, "from-file", string(c.Services[0].Token))
	assert.Equal(t, "from-variable", string(c.Services[1].Token))
	assert.Equal(t, "from-file", string(c.Services[2].ProviderKey))
	assert.Equal(t, "from-variable", string(c.Services[3].ProviderKey))
}

func TestSandboxNeedsNothing(t *testing.T) {
	c, err := config.Load(config.Source{Sandbox: true})
	require.NoError(t, err)
	assert.Equal(t, "./reporterd-data", c.DataDir)
	assert.Equal(t, "http://127.0.0.1:7072", c.Backend.URL)
	require.Len(t, c.Services, 5)
	assert.Equal(t, "1001", c.Services[0].ID)
	assert.Equal(t, "stoken1001", string(c.Services[0].Token))
}

func TestSandboxAndABackendByHandContradict(t *testing.T) {
	_, err := config.Load(config.Source{Sandbox: true, Flags: flags(t, "--backend-url", "https://su1.3scale.net")})
	assert.EqualError(t, err, `--backend-url: backend.url: "https://su1.3scale.net": cannot be given with --sandbox, which has its own backend`)

	// A file written for the real backend can be tried out, and nothing of it reaches the real backend.
	c, err := config.Load(config.Source{Sandbox: true, File: write(t, "backend: {url: https://su1.3scale.net}\n")})
	require.NoError(t, err)
	assert.Equal(t, "http://127.0.0.1:7072", c.Backend.URL)
}

func TestWarnings(t *testing.T) {
	file := write(t, "stop_timeout: 5s\nspool: {sync: never}\nservices: [{id: a, token: t0psecret}]\n")
	require.NoError(t, os.Chmod(file, 0o644))
	c, err := config.Load(config.Source{File: file})
	require.NoError(t, err)
	assert.Equal(t, []string{
		"stop_timeout: 5s: not above backend.timeout (10s): a stop may cut off reports in flight, which may then be counted twice",
		"spool.sync: never: acknowledged events do not survive a power cut",
		"reporterd.yaml: holds credentials and is open to everyone on this machine (mode 0644): make it 0600, or use token_file or token_env",
	}, c.Warnings())
}

func TestAFileThatCannotBeRead(t *testing.T) {
	_, err := config.Load(config.Source{File: filepath.Join(t.TempDir(), "none.yaml")})
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.False(t, config.IsProblem(err))

	_, err = config.Load(config.Source{File: write(t, "listen: [\n")})
	assert.ErrorContains(t, err, "reporterd.yaml: line ")

	_, err = config.Load(config.Source{File: write(t, "a: 1\n---\nb: 2\n")})
	assert.ErrorContains(t, err, "a second document")
}

// TestPassthrough: its words, true and false as before, and off where producers need tokens, unless it is written.
func TestOnAmbiguous(t *testing.T) {
	const plain = "services: [{id: \"1001\", token: t}]\n"
	const receipts = "services: [{id: \"1001\", token: t}, {id: \"1002\", token: t, receipts: {auto: true}}]\n"
	for text, want := range map[string]string{
		plain:    "retry",
		receipts: "receipt",
		receipts + "sender: {on_ambiguous: retry}\n": "retry",
		receipts + "sender: {on_ambiguous: park}\n":  "park",
		plain + "sender: {on_ambiguous: receipt}\n":  "receipt",
	} {
		c, err := config.Load(config.Source{File: write(t, text)})
		if assert.NoError(t, err, text) {
			assert.Equal(t, want, c.Sender.OnAmbiguous, text)
		}
	}
}

func TestPassthrough(t *testing.T) {
	const services = "services: [{id: \"1001\", token: t}]\n"
	tokens := "auth: {tokens_file: " + write(t, "tokens: []\n") + "}\n"
	for text, want := range map[string]config.Passthrough{
		services: config.PassthroughVerify,
		services + "backend: {passthrough: trust}\n": config.PassthroughTrust,
		services + "backend: {passthrough: off}\n":   config.PassthroughOff,
		services + "backend: {passthrough: true}\n":  config.PassthroughVerify,
		services + "backend: {passthrough: false}\n": config.PassthroughOff,
		services + tokens: config.PassthroughOff,
		services + tokens + "backend: {passthrough: trust}\n": config.PassthroughTrust,
		tokens: config.PassthroughVerify,
	} {
		c, err := config.Load(config.Source{File: write(t, text)})
		if assert.NoError(t, err, text) {
			assert.Equal(t, want, c.Backend.Passthrough, text)
		}
	}
	_, err := config.Load(config.Source{File: write(t, services+"backend: {passthrough: maybe}\n")})
	assert.ErrorContains(t, err, "backend.passthrough: maybe: expected verify or trust or off")
}
