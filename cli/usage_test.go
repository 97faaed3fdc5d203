package cli_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden texts")

// The help of every command is API for people: a change of it is a visible difference.
func TestHelp(t *testing.T) {
	for _, words := range []string{
		"", "serve", "sandbox", "config", "config check", "config show", "version",
		"status", "top", "send", "flush", "reload", "ledger", "applications", "accounts", "spool restored",
		"receipts", "receipts setup", "receipts check", "receipts remove",
		"parked", "parked ls", "parked show", "parked resend", "parked counted", "parked bury",
		"spool", "spool ls", "spool show", "spool verify", "spool stats",
		"services", "usage", "doctor", "reconcile", "healthcheck",
		"token", "token create", "token hash",
		"deadletter", "deadletter ls", "deadletter show", "deadletter requeue", "deadletter drop", "deadletter export",
	} {
		t.Run(words, func(t *testing.T) {
			status, stdout, stderr := execute(t, t.TempDir(), nil, append(strings.Fields(words), "--help")...)
			assert.Equal(t, 0, status)
			assert.Empty(t, stderr)
			golden := filepath.Join("testdata", "help", strings.Join(append([]string{"reporterd"}, strings.Fields(words)...), "-")+".txt")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
				require.NoError(t, os.WriteFile(golden, []byte(stdout), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), stdout)
			for line := range strings.Lines(stdout) {
				assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), 80, line)
			}
		})
	}
}

func TestMisuseExitsWith2AndSaysWhat(t *testing.T) {
	t.Parallel()
	otherwise := map[string]int{ // it is the configuration, or a file that may come
		"serve -c bad.yaml": 78, "config check -c bad.yaml": 78, "serve -c nats.yaml": 78, "serve -c tokens.yaml": 78,
		"config check -c tokens.yaml": 78, "serve --config none.yaml": 1, "serve -c tls.yaml": 1,
	}
	for line, words := range map[string]string{
		"serv":                             "reporterd: \"serv\": no such command of reporterd; did you mean send or serve or services?\nSee: reporterd --help\n",
		"serve now":                        "reporterd: \"now\": reporterd serve takes options only",
		"serve --lisen x":                  "reporterd: unknown flag: --lisen; did you mean --listen?\nSee: reporterd serve --help\n",
		"config chek":                      "reporterd: \"chek\": no such command of reporterd config; did you mean check?\nSee: reporterd config --help\n",
		"sandbox --worker-delay x":         "invalid argument \"x\" for \"--worker-delay\" flag",
		"sandbox --log-level loud":         "--log-level: \"loud\": expected debug, info, warn or error",
		"sandbox --listen nowhere":         "--listen: \"nowhere\": expected host:port",
		"serve --listen nowhere":           "--listen: listen: \"nowhere\": expected host:port",
		"serve --config none.yaml":         "open none.yaml: no such file or directory",
		"serve -c bad.yaml":                "bad.yaml:2: lisen: unknown key; did you mean listen?",
		"config check -c bad.yaml":         "bad.yaml:2: lisen: unknown key; did you mean listen?",
		"serve --sandbox --backend-url u":  "--backend-url: backend.url: \"u\": cannot be given with --sandbox",
		"serve -c nats.yaml":               "nats.yaml:1: nats.url: \"localhost:4222\": expected addresses such as nats://127.0.0.1:4222",
		"serve -c tls.yaml":                `tls: access: certificate: \"tls.yaml\": tls: failed to find any PEM data`,
		"spool ls":                         "data_dir: stat /var/lib/reporterd: no such file or directory; name another with --data-dir",
		"spool ls -o xml":                  "--output: \"xml\": expected table or json",
		"spool show":                       "reporterd spool show takes one argument: the id of a batch",
		"spool show nr7 --data-dir .":      "\"nr7\": expected the id of a batch (000000042000-0007), or a file that spool ls names",
		"deadletter requeue":               "name ids or a filter (--service, --reason, --since, --older-than), or say --all",
		"deadletter drop x --all":          "ids cannot be given together with a filter or --all",
		"deadletter ls --since monday":     "--since: \"monday\": expected RFC 3339, a day, Unix seconds, how long ago (90m, 7d), now-30d/d, today, yesterday, week, month, or {date.add(-30).format()}\nSee: reporterd deadletter ls --help\n",
		"deadletter ls --limit -1":         "--limit: -1: expected how many, or 0 for all",
		"healthcheck --data-dir nosuch":    "data_dir: stat nosuch: no such file or directory; name another with --data-dir",
		"deadletter export --format xml":   "--format: \"xml\": expected ndjson or csv",
		"token create --name a":            "expected --services, for a producer, or --scopes, for an operator",
		"token create --name a --scopes x": "scopes: \"x\": expected some of read, write, stats, account_management",
		"token create --services 1":        "name: expected 1 to 64",
		"token hash --name a --services 1": "expected a token of at least 22 characters",
		"token create --name a --services 1 --expires 2020-01-01T00:00:00Z": "--expires: \"2020-01-01T00:00:00Z\": expected a time to come",
		"serve -c tokens.yaml":            "auth.tokens_file: tokens.yaml:1: expected one key, tokens, and a list",
		"config check -c tokens.yaml":     "auth.tokens_file: tokens.yaml:1: expected one key, tokens, and a list",
		"deadletter ls --admin-url ftp:x": "--admin-url: \"http://ftp:x\": expected http://host:port or unix:/path",
	} {
		t.Run(line, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.yaml"), []byte("# a comment\nlisen: x\n"), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "nats.yaml"), []byte("nats: {url: 'localhost:4222'}\n"), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "tls.yaml"), []byte("tls: {cert_file: tls.yaml, key_file: tls.yaml}\n"), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "tokens.yaml"), []byte("auth: {tokens_file: tokens.yaml}\n"), 0o600))
			status, stdout, stderr := execute(t, dir, nil, strings.Fields(line)...)
			want := 2
			if n := otherwise[line]; n != 0 {
				want = n
			}
			assert.Equal(t, want, status)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, words)
			assert.NoDirExists(t, filepath.Join(dir, "reporterd-data"), "nothing was begun")
		})
	}
}

func TestConfigCheckAndShow(t *testing.T) {
	dir := t.TempDir()
	const text = "listen: 127.0.0.1:1\nservices: [{id: \"1\", token: t0psecret}]\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"), []byte(text), 0o600))

	status, stdout, stderr := execute(t, dir, nil, "config", "check", "--config", "r.yaml")
	assert.Equal(t, 0, status)
	assert.Equal(t, "r.yaml: fine, 1 service\n", stdout)
	assert.Empty(t, stderr)

	status, stdout, stderr = execute(t, dir, []string{"REPORTERD_CONFIG=r.yaml", "REPORTERD_LISTN=x"}, "config", "check", "--listen", "127.0.0.1:2")
	assert.Equal(t, 0, status)
	assert.Equal(t, "r.yaml: fine, 1 service\n", stdout)
	assert.Equal(t, "warning: REPORTERD_LISTN: no such key: the variable has no effect\n", stderr)

	status, stdout, _ = execute(t, dir, nil, "config", "show", "-c", "r.yaml", "--admin-listen", "127.0.0.1:3")
	assert.Equal(t, 0, status)
	assert.Contains(t, stdout, "listen: \"127.0.0.1:1\" # r.yaml:1\n")
	assert.Contains(t, stdout, "  listen: \"127.0.0.1:3\" # --admin-listen\n")
	assert.Contains(t, stdout, "token: \"[redacted]\"")
	assert.NotContains(t, stdout, "t0psecret")
}

func TestVersion(t *testing.T) {
	status, stdout, _ := execute(t, t.TempDir(), nil, "version")
	assert.Equal(t, 0, status)
	assert.Regexp(t, `^reporterd \d+\.\d+\.\d+\S*\ncommit .+\ngo1\.\S+ \w+/\w+\n$`, stdout)
}
