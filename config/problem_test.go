package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/config"
)

// Every line names the place, the key, the value and what was expected.
func TestProblems(t *testing.T) {
	const at = "reporterd.yaml:1: "
	for text, want := range map[string]string{
		"lisen: x":                       at + "lisen: unknown key; did you mean listen?",
		"batch: {flush: 5s}":             at + "batch.flush: unknown key",
		"Listen: x":                      at + "Listen: unknown key; did you mean listen?",
		"batch.flush_interval: 5s":       at + "batch.flush_interval: unknown key",
		"batch: 5":                       at + "batch: expected a section of keys",
		"[1, 2]":                         at + "expected a section of keys",
		"services: {a: b}":               at + "services: expected a list",
		"services: [a]":                  at + "services[0]: expected a section of keys",
		"listen: [a]":                    at + "listen: expected one value",
		"listen: 7070":                   at + "listen: 7070: expected text, in quotes: \"7070\"",
		"listen: localhost":              at + `listen: "localhost": expected host:port, such as 127.0.0.1:7070, or unix:/path/to.sock`,
		"listen: localhost:99999":        at + `listen: "localhost:99999": expected host:port, such as 127.0.0.1:7070, or unix:/path/to.sock`,
		`data_dir: ""`:                   at + "data_dir: expected a value",
		"batch: {flush_interval: soon}":  at + `batch.flush_interval: "soon": expected a duration with its unit, such as 500ms, 5s, 10m or 7d`,
		"batch: {flush_interval: 5}":     at + "batch.flush_interval: 5: expected a duration with its unit, such as 500ms, 5s, 10m or 7d",
		"batch: {flush_interval: 2h}":    at + "batch.flush_interval: 2h0m0s: expected 10ms to 1h",
		"batch: {max_transactions: 0}":   at + "batch.max_transactions: 0: expected 1 to 10000",
		"batch: {max_transactions: 1.5}": at + "batch.max_transactions: 1.5: expected a whole number",
		"batch: {max_bytes: 4 moons}":    at + `batch.max_bytes: "4 moons": expected a size, such as 512KiB, 4MiB or 10GiB`,
		"batch: {max_bytes: 1}":          at + "batch.max_bytes: 1B: expected 64KiB to 64MiB",
		"batch: {aggregate: 1}":          at + "batch.aggregate: 1: expected true or false",
		"spool: {sync: sometimes}":       at + `spool.sync: "sometimes": expected always or never`,
		"reconcile: {witness: tx}":       "reporterd.yaml:1: reconcile.witness: \"tx\": expected portal.url, which tells the services that have the metric",
		"reconcile: {witness: a b}\nportal: {url: acme, access_token: t}":    "reporterd.yaml:1: reconcile.witness: \"a b\": expected the system name of a metric",
		"spool: {engine: jetstream, max_bytes: 1GiB}\nnats: {url: nats://h}": at + "spool.max_bytes: 1GiB: expected more than spool.min_free_bytes (1GiB), which stays free in the stream: no event would be accepted",
		"spool: {engine: jetstream}":                                         "nats.url: expected the servers' addresses, since spool.engine is jetstream",
		"sender: {expired: drop}":                                            at + `sender.expired: "drop": expected deadletter or restamp`,
		`nats: {url: "http://h:4222"}`:                                       at + `nats.url: "http://h:4222": expected addresses such as nats://127.0.0.1:4222, separated by commas; a user has a key of its own`,
		`nats: {url: "nats://u:pw@h"}`:                                       at + `nats.url: expected addresses such as nats://127.0.0.1:4222, separated by commas; a user has a key of its own`,
		"nats: {inbox_prefixes: \"\"}":                                       at + `nats.inbox_prefixes: expected a value`,
		"nats: {inbox_prefixes: \"_INBOX.>\"}":                               at + `nats.inbox_prefixes: "_INBOX.>": expected prefixes of reply subjects such as _INBOX, separated by commas, without wildcards and $`,
		"nats: {inbox_prefixes: \"_INBOX, $JS\"}":                            at + `nats.inbox_prefixes: "_INBOX, $JS": expected prefixes of reply subjects such as _INBOX, separated by commas, without wildcards and $`,
		"nats: {inbox_prefixes: \"a,usage.x\"}":                              at + `nats.inbox_prefixes: "a,usage.x": expected prefixes that do not begin as nats.subject does`,
		"nats: {subject: usage}":                                             at + `nats.subject: "usage": expected a subject that ends in .* or .>, such as usage.>`,
		"nats: {stream: a.b}":                                                at + `nats.stream: "a.b": expected a name of letters, digits, - and _`,
		"nats: {password: x}":                                                at + `nats.user: expected a value beside the password`,
		`nats: {embedded: true, user: u}`:                                    at + `nats.user: cannot be given with nats.embedded, whose server admits the daemon by itself`,
		"authorize: {timeout: 2m}":                                           at + `authorize.timeout: 2m0s: expected 10ms to 1m`,
		"authorize: {mode: maybe}":                                           at + `authorize.mode: "maybe": expected strict or resilient or allow or none`,
		`portal: {url: "https://a.b"}`:                                       at + `portal.access_token_file: expected a file that holds an access token of portal.url`,
		`listen: "0.0.0.0:7070"`:                                             at + `listen: "0.0.0.0:7070": can be reached from other machines without authentication: expected auth.tokens_file or tls.client_ca_file, an address of this machine alone, or insecure: true`,
		`nats: {embedded: true, listen: "0.0.0.0:4222"}`:                     at + `nats.listen: "0.0.0.0:4222": can be reached from other machines without authentication: expected auth.tokens_file, an address of this machine alone, or insecure: true`,
		`admin: {listen: ":7071"}`:                                           at + `admin.listen: ":7071": can be reached from other machines without authentication: expected admin.tokens_file or admin.tls.client_ca_file, an address of this machine alone, or insecure: true`,
		`admin: {tls: {cert_file: reporterd.yaml}}`:                          at + `admin.tls: expected cert_file and key_file together`,
		`portal: {access_token_file: nowhere}`:                               at + `portal.access_token_file: "nowhere": expected a readable file: no such file or directory`,
		"auth: {tokens_file: t}":                                             at + `auth.tokens_file: "t": expected a readable file: no such file or directory`,
		"backend: {url: su1.3scale.net}":                                     at + `backend.url: "su1.3scale.net": expected an address such as https://su1.3scale.net, without user, query or fragment`,
		"backend: {ca_file: none.pem}":                                       at + `backend.ca_file: "none.pem": expected a readable file: no such file or directory`,
		"tls: {cert_file: reporterd.yaml}":                                   at + "tls: expected cert_file and key_file together",
		"admin: {hosts: 'https://a.example'}":                                at + `admin.hosts: "https://a.example": expected names without scheme and port, such as reporterd.example.com, separated by commas`,
		"admin: {cors_origins: https://a/b}":                                 at + `admin.cors_origins: "https://a/b": expected origins such as https://dashboards.example.com, separated by commas, or *`,
		"admin: {listen: 127.0.0.1:7070}":                                    at + `admin.listen: "127.0.0.1:7070": expected an address of its own: listen has this one`,
		"backend: {passthrough: false}":                                      "services: expected at least one, since backend.passthrough is off",
		"log: {level: loud}":                                                 at + `log.level: "loud": expected debug or info or warn or error`,
		"stop_timeout: 0s":                                                   at + "stop_timeout: 0s: expected 1s to 10m",
		"listen: a:1\nlisten: a:2":                                           "reporterd.yaml:2: listen: given twice",
	} {
		t.Run(text, func(t *testing.T) {
			_, err := config.Load(config.Source{File: write(t, text)})
			require.Error(t, err)
			assert.Equal(t, want, err.Error())
			assert.True(t, config.IsProblem(err))
		})
	}
}

func TestProblemsOfServices(t *testing.T) {
	const at = "reporterd.yaml:1: services[0]"
	const ways = "expected one of token, token_file and token_env, or one of provider_key, provider_key_file and provider_key_env, or one of each: got "
	for service, want := range map[string]string{
		"{token: t}":                                    at + ".id: expected a service id",
		"{id: 0123, token: t}":                          at + `.id: 0123: expected text, in quotes: "0123"`,
		"{id: 0x1F, token: t}":                          at + `.id: 0x1F: expected text, in quotes: "0x1F"`,
		"{id: 1_000, token: t}":                         at + `.id: 1_000: expected text, in quotes: "1_000"`,
		"{<<: {token: b}, id: a, token: t}":             at + ".<<: merge keys are not supported: write the keys out",
		`{id: " a", token: t}`:                          at + `.id: " a": expected text of at most 255 bytes, without white space at its ends`,
		"{id: a}":                                       at + ": " + ways + "none",
		"{id: a, provider_key: t, provider_key_env: B}": at + ": " + ways + "provider_key and provider_key_env",
		"{id: a, token: t, token_env: B}":               at + ": " + ways + "token and token_env",
		"{id: a, tokne: t, token: t}":                   at + ".tokne: unknown key; did you mean token?",
		"{id: a, token: 12}":                            at + ".token: expected text, in quotes",
		`{id: a, token: "a\nb"}`:                        at + ".token: expected one line of at most 1024 bytes",
		"{id: a, token_file: gone}":                     at + `.token_file: "gone": expected a readable file: no such file or directory`,
		"{id: a, token_env: REPORTERD_TEST_NOT_SET}":    at + `.token_env: "REPORTERD_TEST_NOT_SET": expected a variable that is set`,
		"{id: a, token: t, metrics: [1]}":               at + `.metrics[0]: 1: expected text, in quotes: "1"`,
		"{id: a, token: t}, {id: a, token: t}":          `reporterd.yaml:1: services[1].id: "a": given twice: services[0] has it too`,
	} {
		t.Run(service, func(t *testing.T) {
			_, err := config.Load(config.Source{File: write(t, "services: ["+service+"]")})
			require.Error(t, err)
			assert.Equal(t, want, err.Error())
		})
	}
}

func TestEverythingWrongIsSaidAtOnceAndWhereItStands(t *testing.T) {
	t.Setenv("REPORTERD_BATCH_MAX_PARAMS", "many")
	file := write(t, "listen: 1\nbatch:\n  flush_interval: never\nservices:\n  - id: a\n    tokn: x\n")
	_, err := config.Load(config.Source{File: file, Flags: flags(t, "--log-level", "loud")})
	require.Error(t, err)
	assert.Equal(t, []string{
		`reporterd.yaml:3: batch.flush_interval: "never": expected a duration with its unit, such as 500ms, 5s, 10m or 7d`,
		`REPORTERD_BATCH_MAX_PARAMS: batch.max_params: "many": expected a whole number`,
		`reporterd.yaml:1: listen: 1: expected text, in quotes: "1"`,
		`--log-level: log.level: "loud": expected debug or info or warn or error`,
		`reporterd.yaml:5: services[0]: expected one of token, token_file and token_env, or one of provider_key, provider_key_file and provider_key_env, or one of each: got none`,
		`reporterd.yaml:6: services[0].tokn: unknown key; did you mean token?`,
	}, strings.Split(err.Error(), "\n"))
}

func TestNoMessageRepeatsASecret(t *testing.T) {
	const secret = "s3cr3t-value"
	t.Setenv("TOKEN_OF_A", secret+"\nsecond line")
	for _, text := range []string{
		"services: [{id: a, token: " + secret + ", token_env: " + secret + "}]",
		"services: [{id: a, token: [" + secret + "]}]",
		"services: [{id: a, token: {" + secret + ": 1}}]",
		"services: [{id: a, token: \"" + secret + "\\n\"}]",
		"services: [{id: a, token_file: token}]",
		"services: [{id: a, token_env: TOKEN_OF_A}]",
		"backend: {url: \"https://user:" + secret + "@host/\"}",
		"backend: {url: \"https://user:" + secret + "@ho st/\"}",
	} {
		file := write(t, text)
		require.NoError(t, os.WriteFile("token", []byte(secret+"\n\n"+secret), 0o600))
		_, err := config.Load(config.Source{File: file})
		require.Error(t, err, text)
		assert.NotContains(t, err.Error(), secret, text)
	}
}

// TestATokenFileWithAByteOrderMark, as editors of Windows write it: the mark is no part of the token.
func TestATokenFileWithAByteOrderMark(t *testing.T) {
	file := write(t, "services: [{id: a, token_file: t}]")
	require.NoError(t, os.WriteFile("t", []byte("\xef\xbb\xbfsecret\r\n"), 0o600))
	c, err := config.Load(config.Source{File: file})
	require.NoError(t, err)
	assert.Equal(t, "secret", string(c.Services[0].Token))
}
