package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/config"
)

// TestNoCutIsTaken cuts a file at many of its bytes, also one that was edited before that: it cannot be read, or it is
// refused, or nothing but comments is missing.
func TestNoCutIsTaken(t *testing.T) {
	service := func(id string) string {
		return "  - id: \"" + id + "\"\n    token: abcdef\n    metrics:\n      - hits\n      - é\n"
	}
	const head, behind = "# of this machine\nlisten: 127.0.0.1:7070\nbackend:\n  passthrough: true # it is\n", "log:\n  level: debug\n# the end\n"
	services := "services:\n" + service("1") + service("2") + service("3")
	for name, text := range map[string]string{
		"services at the end": head + services, "in the middle": head + services + behind, "at the beginning": services + head + behind,
		"with dots": head + services + "...\n", "in braces": `{listen: "127.0.0.1:7070", services: [{id: "1", token: a}, {id: "2", token: b}]}` + "\n",
	} {
		file := write(t, text)
		before, err := config.Load(config.Source{File: file})
		require.NoError(t, err)
		taken := 0
		for _, changed := range []string{text, strings.Replace(text, "127.0.0.1:7070", "127.0.0.1:7073", 1)} {
			for at := 0; at < len(changed); at += 5 {
				require.NoError(t, os.WriteFile(file, []byte(changed[:at]), 0o600))
				after, err := config.Load(config.Source{File: file})
				if err != nil || after.Follows(before, nil) != nil {
					continue
				}
				taken++
				assert.Empty(t, after.Removed(before), "%s, cut at byte %d:\n%s", name, at, changed[:at])
			}
			assert.Less(t, taken, len(text)/20, name)
		}
	}
}

// TestRemovalsOnPurpose are taken, each by the sign that says so.
func TestRemovalsOnPurpose(t *testing.T) {
	const one, two = "  - {id: \"1\", token: a}\n", "  - {id: \"2\", token: b}\n"
	file := write(t, "listen: 127.0.0.1:7070\nservices:\n"+one+two)
	before, err := config.Load(config.Source{File: file})
	require.NoError(t, err)
	for text, meant := range map[string][]string{
		"listen: 127.0.0.1:7070\nservices:\n" + two:                                       nil, // the first goes
		"listen: 127.0.0.1:7070\nservices:\n" + one + "...\n":                             nil,
		"listen: 127.0.0.1:7070\nservices:\n" + one:                                       {"2"},
		"services:\n" + one + "listen: 127.0.0.1:7070\n":                                  nil, // the file goes on behind the list
		"listen: 127.0.0.1:7070\nservices: []\n":                                          nil,
		"{services: [{id: \"1\", token: a}]}":                                             nil,
		"services:\n" + one + two + "stop_timeout: 30s\n":                                 nil,
		"listen: 127.0.0.1:7070\nservices:\n" + one + two + "  - {id: \"3\", token: c}\n": nil,
	} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		after, err := config.Load(config.Source{File: file})
		require.NoError(t, err)
		assert.NoError(t, after.Follows(before, meant), text)
	}
}
