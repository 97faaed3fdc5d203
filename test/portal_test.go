package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPortalCommands: what was sent is seen counted, by the commands a person has, and no token is printed.
func TestPortalCommands(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	d := serve(t, newSettings(t, b.url))
	d.send(event{ServiceID: "1001", AppID: "app1", Usage: map[string]uint64{"hits": 40}},
		event{ServiceID: "1001", AppID: "app2", Usage: map[string]uint64{"search": 2}})
	d.drained(10 * time.Second)
	configs := map[string]string{}
	for _, token := range []string{"atoken", "atoken-stats", "very-secret"} {
		name := filepath.Join(t.TempDir(), "token")
		require.NoError(t, os.WriteFile(name, []byte(token+"\n"), 0o600))
		configs[token] = newSettings(t, b.url).set("portal.url", b.url).set("portal.access_token_file", name).set("portal.per_second", 100).write(t)
	}
	ask := func(token string, words ...string) (status int, printed string) {
		p := reporterd(t, append(words, "--config", configs[token])...)
		status = p.exit(15 * time.Second)
		return status, p.printed() + strings.Join(p.logged(), "\n")
	}
	eventually(t, 10*time.Second, "it is counted", func() bool {
		_, printed := ask("atoken", "usage", "orders", "--since", "1h", "--output", "csv")
		return strings.Contains(printed, ",1001,,hits,42\n")
	})
	for _, c := range []struct {
		words, token string
		status       int
		want         string
	}{
		{"usage 1001 --app app2 --since 1h --by hour", "atoken", 0, "TOTAL 2"},
		{"usage 1001 --metric search --by month --tz Europe/Madrid -o json", "atoken", 0, `"metric":"search","value":2}`},
		{"usage 1001 --metric nonsense", "atoken", 1, "metric nonsense not found"},
		{"usage shop", "atoken", 2, `"shop": the portal shows no such service: expected one of 1001 (Orders)`},
		{"usage 1001 --by week", "atoken", 2, `--by: "week": expected hour, day or month`},
		{"usage 1001 --tz Asia/Kathmandu", "atoken", 2, "expected a zone that is whole hours from UTC"},
		{"services", "atoken", 0, "1002*  Search"},
		{"services -o json", "atoken", 0, `{"system_name":"search","name":"Search","unit":"hit","parent":"hits"}`},
		{"doctor", "atoken", 0, "the token may read what was counted"},
		{"doctor", "atoken-stats", 1, "give the token the scope Account Management API"},
		{"doctor", "very-secret", 1, "a provider key or service token"},
	} {
		status, printed := ask(c.token, strings.Fields(c.words)...)
		assert.Equal(t, c.status, status, "%s: %s", c.words, printed)
		assert.Contains(t, strings.Join(strings.Fields(printed), " "), strings.Join(strings.Fields(c.want), " "), c.words)
		assert.NotContains(t, printed, "very-secret")
	}
}
