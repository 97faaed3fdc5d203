package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const example = `
sources:
  - name: orders-by-day
    question: service_usage
    service: "1001"
    metric: hits
    since: "{date.add(-30).format()}"
    by: day
    timezone: Europe/Madrid
    refresh: 5m
    columns: {value: hits}
    token_sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b # of secret
  - name: accounts
    question: accounts
  - name: stock
    path: /stats/services/1001/usage.json?metric_name=hits&since={date.add(-30).format()}&period=month&granularity=day
    from: 3scale
    shape: original
`

func TestRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sources.yaml")
	list, err := Read(file)
	require.NoError(t, err)
	assert.Empty(t, list, "no file, no sources")
	require.NoError(t, os.WriteFile(file, []byte(example), 0o600))
	list, err = Read(file)
	require.NoError(t, err)
	require.Len(t, list, 3)
	first := list[0]
	assert.Equal(t, []any{"orders-by-day", Ledger, "day", 5 * time.Minute, "hits"}, []any{first.Name, first.From, first.By, first.Refresh, first.Columns["value"]})
	assert.True(t, first.Opens("secret"))
	assert.False(t, first.Opens("secret2"))
	assert.False(t, first.Opens(""))
	assert.False(t, list[1].Opens(""), "a source without a token is opened by none")
	assert.Equal(t, ThreeScale, list[1].From, "3scale knows accounts without applications, too")
	assert.Contains(t, list[2].Query(time.Date(2026, 3, 31, 9, 0, 0, 0, time.UTC)), "since=2026-03-01&period")
	since, until := first.Meaning(time.Date(2026, 3, 31, 9, 0, 0, 0, time.UTC))
	assert.Equal(t, "2026-03-01T00:00:00+01:00 2026-04-01T00:00:00+02:00", since.Format(time.RFC3339)+" "+until.Format(time.RFC3339))
}

// TestProblems: each says the line, the field and what was expected, and none repeats a token.
func TestProblems(t *testing.T) {
	const good = "name: a\n    question: service_usage\n    service: 1\n    metric: hits\n    "
	for entry, want := range map[string]string{
		good + "metrik: x":                                                     `:7: sources[0].metrik: no such key; did you mean metric?`,
		good + "metric: x":                                                     `sources[0].metric: appears twice`,
		good + "refresh: soon":                                                 `sources[0].refresh: "soon": expected a duration`,
		good + "refresh: 1s":                                                   `sources[0].refresh: 1s: expected 10s to 168h0m0s`,
		good + "from: 3scale\n    refresh: 20s":                                `sources[0].refresh: 20s: expected 1m0s`,
		good + "from: here":                                                    `sources[0].from: "here": expected ledger or 3scale or both`,
		good + "since: monday":                                                 `sources[0].since: "monday": expected RFC 3339`,
		good + "since: '{date.addd(1)}'":                                       `did you mean add?`,
		good + "since: today\n    until: yesterday":                            `sources[0].since: until is before since`,
		good + "since: now-2y":                                                 `must be less than 1 year`,
		good + "by: week":                                                      `sources[0].by: "week": expected hour, day or month`,
		good + "by: hour\n    timezone: Asia/Kolkata":                          `not off UTC by whole hours`,
		good + "timezone: Nowhere":                                             `sources[0].timezone: "Nowhere"`,
		good + "limit: 3":                                                      `sources[0].limit: is not used by the question service_usage`,
		good + "token_sha256: c2VjcmV0":                                        `sources[0].token_sha256: expected 64 hexadecimal digits`,
		good + "shape: wide":                                                   `sources[0].shape: "wide": expected rows or original`,
		good + "columns: [value]":                                              `sources[0].columns: expected names`,
		good + "path: /stats/x.json":                                           `sources[0].path: expected a question or a path`,
		"name: A b\n    question: accounts":                                    `sources[0].name: "A b": expected 1 to 63`,
		"name: a":                                                              `sources[0].question: expected one of accounts, `,
		"name: a\n    question: acounts":                                       `did you mean accounts?`,
		"name: a\n    question: service_usage":                                 `sources[0].service: expected a value`,
		"name: a\n    path: /api/v1/ledger":                                    `expected a path of 3scale's APIs`,
		"name: a\n    path: /stats/../metrics.json":                            `expected a path of 3scale's APIs`,
		"name: a\n    path: /stats/services/1/usage":                           `expected the extension .json`,
		"name: a\n    path: /admin/api/x/keys.json":                            `credentials are not served`,
		"name: a\n    path: /stats/x.json?access_token=rp":                     `access_token: expected no credentials`,
		"name: a\n    path: /stats/x.json?since={date":                         `expected } at the end`,
		"name: a\n    path: /stats/x.json\n    service: 1":                     `sources[0].service: is not used with path`,
		"name: a\n    question: limits\n    service: 1\n    from: ledger":      `"ledger": expected 3scale`,
		"name: a\n    question: accounts\n  - name: a\n    question: services": `sources[1].name: "a": another source has this name`,
		"name: a\n    question: &x accounts\n  - name: b\n    question: *x":    `anchors and aliases are not understood`,
		"name: a\n    question: deliveries\n    shape: original":               `original: expected rows`,
	} {
		file := filepath.Join(t.TempDir(), "sources.yaml")
		require.NoError(t, os.WriteFile(file, []byte("\nsources:\n  - "+entry+"\n"), 0o600))
		list, err := Read(file)
		assert.ErrorContains(t, err, want, entry)
		assert.Empty(t, list, "whole or not at all")
		if err != nil {
			assert.True(t, strings.HasPrefix(err.Error(), file+":"), err)
		}
	}
	for text, want := range map[string]string{
		"source:\n  - name: a": "expected one key, sources, and a list; did you mean sources?", "sources: 3": "expected a list", "- a": "expected one key",
		"sources: [": "not YAML", "sources: []\n---\nsources: []": "a second document",
	} {
		_, problems := parse([]byte(text))
		require.NotEmpty(t, problems, text)
		assert.Contains(t, problems[0].Error(), want, text)
	}
	for _, text := range []string{"", "# nothing", "sources:", "sources: []"} {
		list, problems := parse([]byte(text))
		assert.Empty(t, problems, text)
		assert.Empty(t, list, text)
	}
}
