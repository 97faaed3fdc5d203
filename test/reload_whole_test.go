package test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// blockConfig is a configuration as a person writes it, with services 1001 and so on at its end.
func blockConfig(t *testing.T, backend string, services int) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "# written by hand\ndata_dir: %s\nlisten: \"127.0.0.1:0\"\nadmin:\n  listen: \"127.0.0.1:0\"\nbackend:\n  url: %s\n  passthrough: false\n", t.TempDir(), backend)
	b.WriteString("batch:\n  flush_interval: 1h\nspool:\n  max_bytes: 256MiB\n  min_free_bytes: 0B\nservices:\n")
	for i := range services {
		fmt.Fprintf(&b, "  - id: \"%d\"\n    token: stoken%[1]d\n", 1001+i)
	}
	return b.String()
}

// TestAReloadLosesNoServiceByAccident: a file that is empty or cut at any place, as a crash or a full disk leaves it, takes
// no service away; one that says so on purpose does, and it is said by name.
func TestAReloadLosesNoServiceByAccident(t *testing.T) {
	b := sandbox(t)
	text := blockConfig(t, b.url, 3)
	file := filepath.Join(t.TempDir(), "reporterd.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write(text)
	d := launch(t, file)
	d.ready()
	reload := func(query string) answer {
		got, err := call(testClient, http.MethodPost, d.admin+"/-/reload"+query, "", nil)
		require.NoError(t, err)
		return got
	}
	all := func() bool {
		for _, e := range []event{hit("1001", "app2"), {ServiceID: "1002", UserKey: "ukey1", Usage: map[string]uint64{"hits": 1}}, hit("1003", "app1")} {
			if d.offer(e).status != http.StatusAccepted {
				return false
			}
		}
		return true
	}
	require.True(t, all())
	cuts := []int{0, 1, len("# written by hand\n"), strings.Index(text, "services:"), strings.Index(text, "  - id: \"1003\""), len(text) - 1, len(text) - 3}
	for at := 5; at < len(text); at += 97 {
		cuts = append(cuts, at)
	}
	for _, at := range cuts {
		write(text[:at])
		got := reload("")
		assert.Equal(t, http.StatusUnprocessableEntity, got.status, "cut at byte %d of %d: %s", at, len(text), got.body)
		require.True(t, all(), "cut at byte %d of %d", at, len(text))
	}
	for name, changed := range map[string]string{
		"comments alone":               "# nothing\n",
		"services without a list":      text[:strings.Index(text, "services:")] + "services:\n",
		"no services":                  strings.Replace(text[:strings.Index(text, "services:")], "by hand", "otherwise", 1),
		"another file, cut":            strings.Replace(text[:strings.Index(text, "  - id: \"1003\"")], "by hand", "otherwise", 1),
		"another file, cut in a line":  strings.Replace(text[:len(text)-20], "by hand", "otherwise", 1),
		"cut behind the first service": text[:strings.Index(text, "  - id: \"1002\"")],
	} {
		write(changed)
		got := reload("")
		assert.Equal(t, http.StatusUnprocessableEntity, got.status, "%s: %s", name, got.body)
		require.True(t, all(), name)
	}
	write(text[:strings.Index(text, "  - id: \"1003\"")])
	got := reload("")
	assert.Contains(t, got.body, "1003", "it is said by name")
	assert.Contains(t, got.body, "removed=1003", "and how to say that it is meant")

	assert.Equal(t, http.StatusOK, reload("?removed="+url.QueryEscape("1003")).status)
	assert.Equal(t, http.StatusUnprocessableEntity, d.offer(hit("1003", "app1")).status)
	require.Contains(t, strings.Join(d.logged(), "\n"), `"level":"warn"`)
	assert.Regexp(t, `"level":"warn"[^\n]*removed[^\n]*1003`, strings.Join(d.logged(), "\n"))
	write(text)
	require.Equal(t, http.StatusOK, reload("").status)
	for name, changed := range map[string]string{
		"one from the middle":           strings.Replace(text, "  - id: \"1002\"\n    token: stoken1002\n", "", 1),
		"the last, the end of the file": text[:strings.Index(text, "  - id: \"1003\"")] + "...\n",
		"all":                           text[:strings.Index(text, "services:")] + "services: []\n",
	} {
		write(strings.Replace(changed, "passthrough: false", "passthrough: true", 1))
		got := reload("")
		assert.Equal(t, http.StatusOK, got.status, "%s: %s", name, got.body)
		require.False(t, all(), name)
		write(text)
		require.Equal(t, http.StatusOK, reload("").status)
	}
}

// TestAReloadSaysWhatItDid: what is in force now, and what is not before a restart, by key.
func TestAReloadSaysWhatItDid(t *testing.T) {
	b := sandbox(t)
	s := newSettings(t, b.url)
	file := s.write(t)
	d := launch(t, file)
	d.ready()
	d.reloaded(`{"reloaded":true,"applied":[],"needs_restart":[]}`)
	s.set("log", map[string]any{"level": "debug"}).set("services", sandboxServices()[:2]).set("stop_timeout", "30s").rewrite(t, file)
	d.reloaded(`{"reloaded":true,"applied":["services","log.level"],"needs_restart":["stop_timeout"]}`)
	s.set("log", map[string]any{"level": "info"}).rewrite(t, file)
	d.reloaded(`{"reloaded":true,"applied":["log.level"],"needs_restart":["stop_timeout"]}`)
	s.set("stop_timeout", "20s").rewrite(t, file)
	d.reloaded(`{"reloaded":true,"applied":[],"needs_restart":[]}`)
}

func (d *daemon) reloaded(want string) {
	d.t.Helper()
	assert.JSONEq(d.t, want, mustCall(d.t, http.StatusOK, http.MethodPost, d.admin+"/-/reload", nil).body)
}
