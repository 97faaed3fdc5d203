package access_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/access"
)

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// file writes a file of tokens.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "tokens.yaml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func TestATokenIsGoodForWhatItsEntrySays(t *testing.T) {
	tokens, err := access.Open(file(t, fmt.Sprintf("tokens:\n"+
		"  - {name: shop, sha256: %s, services: [\"1001\", \"1002\"], rate: 50}\n"+
		"  - name: anyone\n    sha256: %s\n    services: [\"*\"]\n", digest("a"), digest("b"))), access.Producers)
	require.NoError(t, err)
	assert.Equal(t, 2, tokens.Len())

	g, err := tokens.Find("a")
	require.NoError(t, err)
	assert.Equal(t, "shop", g.Name)
	assert.InDelta(t, 50, g.Rate, 0)
	assert.True(t, g.Serves("1001"))
	assert.False(t, g.Serves("1003"))
	g, err = tokens.Find("b")
	require.NoError(t, err)
	assert.True(t, g.Serves("1003"))

	_, err = tokens.Find("c")
	require.ErrorIs(t, err, access.ErrUnknownToken)
	_, err = tokens.Find(digest("a"))
	require.ErrorIs(t, err, access.ErrUnknownToken, "who read the file has no token")
	_, err = tokens.Find("")
	require.ErrorIs(t, err, access.ErrNoToken)
}

func TestScopes(t *testing.T) {
	tokens, err := access.Open(file(t, fmt.Sprintf("tokens:\n- {name: a, sha256: %s, scopes: [write]}\n- {name: b, sha256: %s, scopes: [read, stats]}",
		digest("a"), digest("b"))), access.Operators)
	require.NoError(t, err)
	a, _ := tokens.Find("a")
	b, _ := tokens.Find("b")
	assert.True(t, a.May(access.Read), "who may change it may look at it")
	assert.True(t, a.May(access.Write))
	assert.False(t, a.May(access.Stats))
	assert.True(t, b.May(access.Stats))
	assert.False(t, b.May(access.Write))
	assert.False(t, b.May(access.AccountManagement))
}

func TestWithoutAFileNoTokenIsNeeded(t *testing.T) {
	tokens, err := access.Open("", access.Producers)
	require.NoError(t, err)
	g, err := tokens.Find("")
	require.NoError(t, err)
	assert.True(t, g.Serves("1001"))
	assert.True(t, g.May(access.Write))
	require.NoError(t, tokens.Reload())
}

func TestAFileWithoutTokensRefusesEveryCaller(t *testing.T) {
	for _, text := range []string{"", "# none yet\n", "tokens:\n", "tokens: []\n"} {
		tokens, err := access.Open(file(t, text), access.Producers)
		require.NoError(t, err, text)
		_, err = tokens.Find("a")
		require.ErrorIs(t, err, access.ErrUnknownToken, text)
	}
}

func TestATokenExpires(t *testing.T) {
	name := file(t, fmt.Sprintf("tokens:\n- {name: a, sha256: %s, scopes: [read], expires: 2000-01-01T00:01:00Z}", digest("a")))
	synctest.Test(t, func(t *testing.T) { // begins at the start of 2000
		tokens, err := access.Open(name, access.Operators)
		require.NoError(t, err)
		_, err = tokens.Find("a")
		require.NoError(t, err)
		<-time.After(time.Minute)
		_, err = tokens.Find("a")
		require.ErrorIs(t, err, access.ErrExpired)
	})
}

func TestReloadIsWholeOrNotAtAll(t *testing.T) {
	name := file(t, fmt.Sprintf("tokens:\n- {name: a, sha256: %s, services: [\"1\"]}\n", digest("a")))
	tokens, err := access.Open(name, access.Producers)
	require.NoError(t, err)
	tokens.Add("beside", access.Grant{Name: "beside"})

	require.NoError(t, os.WriteFile(name, []byte(fmt.Sprintf("tokens:\n- {name: b, sha256: %s, services: [\"1\"]}\n- {name: c}\n", digest("b"))), 0o600))
	require.ErrorContains(t, tokens.Reload(), "tokens.yaml:3: sha256: expected 64")
	_, err = tokens.Find("a")
	require.NoError(t, err, "what was in force stays so")
	_, err = tokens.Find("b")
	require.Error(t, err)

	require.NoError(t, os.WriteFile(name, []byte(fmt.Sprintf("tokens:\n- {name: b, sha256: %s, services: [\"1\"]}\n", digest("b"))), 0o600))
	require.NoError(t, tokens.Reload())
	_, err = tokens.Find("a")
	require.Error(t, err)
	for _, token := range []string{"b", "beside"} {
		_, err = tokens.Find(token)
		require.NoError(t, err, token)
	}
	require.NoError(t, os.Remove(name))
	require.ErrorContains(t, tokens.Reload(), "no such file")
	_, err = tokens.Find("b")
	require.NoError(t, err)
}

func TestMistakesNameTheirLineAndNoDigest(t *testing.T) {
	d := digest("a")
	for text, want := range map[string]string{
		"- a":         "line 1: expected one key, tokens, and a list",
		"tokens: 1":   "line 1: tokens: expected a list",
		"tokens: [1]": "line 1: expected name, sha256",
		"tokens: {":   "not YAML",
		"tokens:\n- {name: a, sha256: " + d + "}":                                                                         "line 2: services: expected ids",
		"tokens:\n- {name: a, sha256: " + d + ", services: x}":                                                            "line 2: a value of the wrong type",
		"tokens:\n- {name: a b, sha256: " + d + ", services: [x]}":                                                        "line 2: name: expected",
		"tokens:\n- {name: a, sha256: " + d[1:] + ", services: [x]}":                                                      "line 2: sha256: expected 64",
		"tokens:\n- {name: a, sha256: " + d + ", services: [x], rate: -1}":                                                "line 2: rate: expected",
		"tokens:\n- {name: a, sha256: " + d + ", scopes: [read]}":                                                         `line 2: "scopes": expected name, sha256, services, expires, rate`,
		"tokens:\n- {name: a, sha256: " + d + ", services: [x]}\n- {name: a, sha256: " + digest("b") + ", services: [x]}": `line 3: name: "a": appears twice`,
		"tokens:\n- {name: a, sha256: " + d + ", services: [x]}\n- {name: b, sha256: " + d + ", services: [x]}":           "line 3: sha256: the token of another name",
		"tokens:\n- {name: a, sha256: " + d + ", services: &x [x]}":                                                       "line 2: services: anchors",
	} {
		_, err := access.Parse([]byte(text), access.Producers)
		require.ErrorContains(t, err, want, text)
		assert.NotContains(t, err.Error(), d[2:], text)
	}
	_, err := access.Parse([]byte("tokens:\n- {name: a, sha256: "+d+", scopes: [admin]}"), access.Operators)
	require.ErrorContains(t, err, `scopes: "admin": expected some of read, write, stats, account_management`)
}

func TestAnEntryIsWhatParseReads(t *testing.T) {
	token := access.NewToken()
	assert.Len(t, token, 47)
	assert.NotEqual(t, token, access.NewToken())
	lines, err := access.Entry(token, access.Grant{Name: "shop", Services: []string{"1001"}, Rate: 10, Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}, access.Producers)
	require.NoError(t, err)
	assert.NotContains(t, lines, token)
	assert.True(t, strings.HasPrefix(lines, "  - name: shop\n    sha256: "), lines)
	list, err := access.Parse([]byte("tokens:\n"+lines), access.Producers)
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, []string{"1001"}, list[0].Services)
	assert.True(t, list[0].Expires.Equal(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)))

	_, err = access.Entry("password", access.Grant{Name: "shop", Services: []string{"1001"}}, access.Producers)
	require.ErrorContains(t, err, "at least 22 characters")
	_, err = access.Entry(token, access.Grant{Name: "shop"}, access.Producers)
	require.ErrorContains(t, err, "services: expected")
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:7071": true, "LOCALHOST.": true, "a.localhost:1": true, "127.0.0.1:7071": true, "127.9.9.9": true,
		"[::1]:7071": true, "::1": true, "[::1]": true, "": false, ":7071": false, "0.0.0.0:1": false, "evil.example": false,
		"localhost.evil.example": false, "127.0.0.1.evil.example:80": false, "10.0.0.1": false,
	} {
		assert.Equal(t, want, access.Loopback(host), host)
	}
}

// FuzzTokens: a file of tokens that is accepted admits the holders of its tokens only.
func FuzzTokens(f *testing.F) {
	f.Add("tokens:\n- {name: a, sha256: "+digest("a")+", services: [\"1001\"], rate: 5, expires: 2030-01-01T00:00:00Z}\n", false)
	f.Add("tokens:\n- {name: a, sha256: "+digest("a")+", scopes: [read, write]}\n", true)
	f.Add("tokens: [*a]", true)
	f.Add("tokens: &a [*a]", true)
	f.Fuzz(func(t *testing.T, text string, operators bool) {
		kind := access.Producers
		if operators {
			kind = access.Operators
		}
		list, err := access.Parse([]byte(text), kind)
		if err != nil {
			require.Empty(t, list)
			return
		}
		names := map[string]bool{}
		for _, g := range list {
			require.False(t, names[g.Name])
			names[g.Name] = true
			require.GreaterOrEqual(t, g.Rate, 0.0)
			if operators {
				require.NotEmpty(t, g.Scopes)
				continue
			}
			require.NotEmpty(t, g.Services)
			require.Empty(t, g.Scopes)
			require.True(t, g.Serves(g.Services[0]))
		}
	})
}

// TestOperatorsOfSomeServices: an operator sees all services, or those it has; those who may read everything cannot be
// kept from some.
func TestOperatorsOfSomeServices(t *testing.T) {
	parse := func(rest string) ([]*access.Grant, error) {
		return access.Parse([]byte("tokens:\n- {name: a, sha256: "+digest("a")+", "+rest+"}"), access.Operators)
	}
	all, err := parse("scopes: [stats]")
	require.NoError(t, err)
	assert.True(t, all[0].Serves("1001"))
	some, err := parse(`scopes: [stats, account_management], services: ["1001"]`)
	require.NoError(t, err)
	assert.True(t, some[0].Serves("1001"))
	assert.False(t, some[0].Serves("1002"))
	_, err = parse(`scopes: [stats, read], services: ["1001"]`)
	require.ErrorContains(t, err, "services: an operator's with the scopes stats and account_management alone")
}
