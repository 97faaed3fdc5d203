package gate

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

// The documented meaning of APIcast's patterns.
func TestRulesMatchAsAPIcastDoes(t *testing.T) {
	for _, c := range []struct {
		pattern, target string
		matches         bool
	}{
		{"/", "/", true}, {"/", "/anything/at/all", true},
		{"/hello", "/hello", true}, {"/hello", "/hello/world", true}, {"/hello", "/helloworld", true}, {"/hello", "/say/hello", false},
		{"/hello$", "/hello", true}, {"/hello$", "/hello/world", false}, {"/hello$", "/hello?a=b", true},
		{"/{word}/{world}", "/hello/people", true}, {"/{word}/{world}", "/hello", false}, {"/{word}/{world}", "/hello/people/all", true},
		{"/{version}/word/{id}.json", "/v1/word/good.json", true}, {"/{version}/word/{id}.json", "/v1/word/good.xml", false},
		{"/{version}/word/{id}.json", "/v1/word/sub/good.json", false}, {"/{version}/word/{id}.json", "/v1/word/.json", false},
		{"/{version}/word/{id}.json$", "/v1/word/a.json.json", true}, {"/{version}/word/{id}.json$", "/v1/word/a.jsonx", false},
		{"/{a}$", "/hello", true}, {"/{a}$", "/hello/x", false}, {"/{a}-{b}-c", "/x-y-z-c", true}, {"/{a}-{b}-c", "/x/-y-c", false}, {"/{a}-", "/-", false},
		{"/a//b", "/a/b", true}, {"/a/b", "/a//b", true},
		{"/word?value=7", "/word?value=7", true}, {"/word?value=7", "/word?value=8", false}, {"/word?value=7", "/word", false},
		{"/word?value=7", "/word?x=1&value=7", true}, {"/word?value={any}", "/word?value=8", true}, {"/word?value={any}", "/word", false},
		{"/word?value=7", "/word?value=7&value=8", false},
	} {
		r := Rule{Pattern: c.pattern}
		require.Empty(t, r.compile(), c.pattern)
		at, err := newTarget(c.target)
		require.NoError(t, err)
		assert.Equal(t, c.matches, r.matches("GET", &at), "%s on %s", c.pattern, c.target)
	}
	for _, pattern := range []string{"", "hello", "/{", "/{a/b}", "/a?=1", "/{a}{b}"} {
		assert.NotEmpty(t, (&Rule{Pattern: pattern}).compile(), pattern)
	}
}

// Deltas of all rules that match add up, until the last one.
func TestUsageAddsUp(t *testing.T) {
	rules := []*Rule{
		{Method: "GET", Pattern: "/", Metric: "hits", Delta: 1}, {Method: "GET", Pattern: "/search", Metric: "search", Delta: 2},
		{Pattern: "/search/all", Metric: "hits", Delta: 5, Last: true}, {Pattern: "/search", Metric: "never", Delta: 1},
	}
	for _, r := range rules {
		require.Empty(t, r.compile())
	}
	at, err := newTarget("/search/all")
	require.NoError(t, err)
	used, matched := usage(slices.Values(rules), "GET", &at)
	assert.Equal(t, threescale.Usage{{Metric: "hits", Value: 6}, {Metric: "search", Value: 2}}, used)
	assert.Len(t, matched, 3)
	used, _ = usage(slices.Values(rules), "POST", &at)
	assert.Equal(t, threescale.Usage{{Metric: "hits", Value: 5}}, used)
}

// A set of rules finds what trying each of them finds.
func TestRuleSet(t *testing.T) {
	var rules []*Rule
	for i, pattern := range []string{"/", "/a", "/{x}", "/a/{x}/b", "/ab$", "/a", "/a/{x}$", "/v{n}", "/a?b=1"} {
		r := &Rule{Pattern: pattern, Metric: fmt.Sprint("m", i), Delta: 1, Last: i == 5}
		require.Empty(t, r.compile())
		rules = append(rules, r)
	}
	set := newRuleSet(rules)
	for _, raw := range []string{"/", "/a", "/ab", "/a/1/b", "/a/1", "/v1", "/v", "/b", "/a?b=1"} {
		at, err := newTarget(raw)
		require.NoError(t, err)
		want, matched := usage(slices.Values(rules), "GET", &at)
		got, found := set.usage("GET", &at)
		assert.Equal(t, want, got, raw)
		assert.Equal(t, matched, found, raw)
	}
}

// BenchmarkRules is the matching of a call against 300 rules.
func BenchmarkRules(b *testing.B) {
	var rules []*Rule
	for i := range 300 {
		r := &Rule{Method: "GET", Pattern: fmt.Sprintf("/api/v%d/things/{id}/parts?format={any}", i), Metric: "hits", Delta: 1}
		require.Empty(b, r.compile())
		rules = append(rules, r)
	}
	at, err := newTarget("/api/v299/things/17/parts/3?format=json&page=2")
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, matched := usage(slices.Values(rules), "GET", &at); len(matched) != 1 {
			b.Fatal(len(matched))
		}
	}
}

// The match of a pattern is that of the regular expression that APIcast makes of it, whatever stands in the path.
func FuzzMatch(f *testing.F) {
	f.Add("/{a}-{b}/c$", "/x-y/c")
	f.Add("/v{n}/x", "/v12/xy")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		r := Rule{Pattern: pattern}
		if strings.ContainsAny(pattern, "?\n") || strings.Contains(path, "\n") || !utf8.ValidString(pattern) || !utf8.ValidString(path) || r.compile() != "" {
			return
		}
		expression := "^"
		for _, p := range r.path {
			if expression += regexp.QuoteMeta(p.text); p.any {
				expression += `[\w\-.~%!$&'()*+,;=@:]+`
			}
		}
		if r.whole {
			expression += "$"
		}
		assert.Equal(t, regexp.MustCompile(expression).MatchString(path), matchPieces(r.path, r.whole, path), "%q on %q", pattern, path)
	})
}
