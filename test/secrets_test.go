package test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The secrets of TestSecretsAnywhere: each is one word that stands nowhere else.
const (
	secretServiceToken  = "zq1servicetoken"
	secretProviderKey   = "zq2providerkey"
	secretUserKey       = "zq3userkey"
	secretAppKey        = "zq4appkey"
	secretAccessToken   = "zq5accesstoken"
	secretProducerToken = "zq6producertoken"
	secretAdminToken    = "zq7admintoken"
	secretNATSPassword  = "zq8natspassword"
	secretInURL         = "zq9inurl"
	secretRedirect      = "zq10redirect"
	secretTokenFile     = "zq11tokenfile"
)

// secretPattern finds each of them, and not two letters that a random key may have in base64.
var secretPattern = regexp.MustCompile(`zq[0-9]{1,2}[a-z]{5}`)

// written is everything a daemon and its commands wrote that a person or a program may read.
type written struct {
	t     *testing.T
	texts map[string]string
}

func (w *written) add(where, text string) { w.texts[where] += text + "\n" }

// ask keeps an answer, whatever it is. 3scale's own calls are answered in 3scale's own words, which repeat the
// credentials of the call to who made it: those are left out.
func (w *written) ask(method, address, contentType, body string, header ...string) answer {
	w.t.Helper()
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	require.NoError(w.t, err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	got, err := do(&http.Client{Timeout: 3 * time.Second}, req)
	if err != nil { // the stream of live figures has no end
		w.add(address, "")
		return got
	}
	if !strings.HasPrefix(req.URL.Path, "/transactions") {
		w.add(req.URL.Path, got.body)
	}
	return got
}

// run keeps what a command prints.
func (w *written) run(words ...string) {
	w.t.Helper()
	p := reporterd(w.t, words...)
	p.exit(20 * time.Second)
	w.add("reporterd "+words[0], p.printed()+strings.Join(p.logged(), "\n"))
}

// TestSecretsAnywhere feeds secrets through every way there is into the daemon, right and wrong, and reads everything that was
// written: logs at their loudest, answers, metrics, pages, what commands print, and files outside the spool.
func TestSecretsAnywhere(t *testing.T) {
	t.Parallel() // it waits more than it works
	b := sandbox(t)
	w := &written{t: t, texts: map[string]string{}}
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		return name
	}
	s := newSettings(t, b.url).
		set("services", []any{
			map[string]any{"id": "1001", "token": secretServiceToken},
			map[string]any{"id": "1003", "token_file": file("token", secretTokenFile)},
			map[string]any{"id": "1002", "token": "stoken1002"},
		}).
		set("log.level", "debug").set("nats.embedded", true).set("nats.listen", "127.0.0.1:0").
		set("portal.url", strings.Replace(b.url, "http://", "http://"+secretAccessToken+"@", 1)).set("portal.per_second", 100).
		set("reconcile.every", "1s").set("sender.negative_cache", "0s")
	config := s.write(t)
	d := launch(t, config)
	d.ready()

	form := "application/x-www-form-urlencoded"
	callers := "service_token=" + secretServiceToken + "&service_id=1001&app_id=app1&app_key=" + secretAppKey
	for _, query := range []string{
		callers, "provider_key=" + secretProviderKey + "&app_id=app1", "service_token=stoken1002&service_id=1002&user_key=" + secretUserKey,
		"service_token=" + secretServiceToken + "&service_id=9999&user_key=" + secretUserKey, callers + "&redirect_uri=https://x/" + secretRedirect + "&referrer=" + secretRedirect,
		"service_id=1001&provider_key=" + secretProviderKey + "&user_key=" + secretUserKey + "&usage[nonsense]=x",
	} {
		for _, path := range []string{"/transactions/authorize.xml?", "/transactions/authrep.xml?usage[hits]=1&", "/transactions/oauth_authorize.xml?", "/transactions/oauth_authrep.xml?"} {
			w.ask(http.MethodGet, d.traffic+path+query, "", "")
		}
		w.ask(http.MethodPost, d.traffic+"/transactions.xml", form, query+"&transactions[0][user_key]="+secretUserKey+"&transactions[0][usage][hits]=1")
		w.ask(http.MethodPost, d.traffic+"/transactions.xml", form, query+"&transactions[0][user_key]="+secretUserKey+"&transactions[0][usage][hits]=bad")
	}
	for _, body := range []string{
		`{"service_id":"1002","user_key":"` + secretUserKey + `","usage":{"hits":1}}`,
		`{"service_id":"1001","user_key":"` + secretUserKey + `","usage":{"hits":"x"}}`,
		`{"service_id":"1001","user_key":"` + secretUserKey + `","app_id":"a","usage":{"hits":1}}`,
		`{"service_id":"1001","app_id":"app1","app_key":"` + secretAppKey + `","usage":{"hits":1}}`,
		`{"user_key":"` + secretUserKey,
	} {
		for _, path := range []string{"/v1/events", "/v1/authorize", "/v1/authrep"} {
			w.ask(http.MethodPost, d.traffic+path, "application/json", body, "Authorization", "Bearer "+secretProducerToken)
		}
	}
	conn, err := nats.Connect("nats://"+d.address("nats"), nats.UserInfo("u", secretNATSPassword))
	require.NoError(t, err)
	defer conn.Close()
	for _, subject := range []string{"usage.1002", "usage.", "authorize.1002", "authrep.1001"} {
		if got, err := conn.Request(subject, []byte(`{"user_key":"`+secretUserKey+`","app_key":"`+secretAppKey+`","usage":{"hits":1}}`), 2*time.Second); err == nil {
			w.add("nats "+subject, string(got.Data))
		}
		_, _ = conn.Request(subject, []byte(`{"user_key":"`+secretUserKey), time.Second)
	}
	d.flush()
	eventually(t, 20*time.Second, "the unknown key is dead", func() bool { return d.status().Events.Dead > 0 })
	w.look(d, secretAdminToken)

	// What is wrong with a configuration is said without what it holds.
	bad := func(change func(settings)) string {
		text, err := json.Marshal(s)
		require.NoError(t, err)
		c := settings{}
		require.NoError(t, json.Unmarshal(text, &c))
		change(c)
		return c.write(t)
	}
	for _, c := range []string{
		bad(func(c settings) {
			c["services"] = []any{map[string]any{"id": "1", "token": secretServiceToken, "provider_key": secretProviderKey}}
		}),
		bad(func(c settings) { c["services"] = []any{map[string]any{"id": "1", "token": []any{secretServiceToken}}} }),
		bad(func(c settings) { c["backend"] = map[string]any{"url": "http://u:" + secretInURL + "@ho st/"} }),
		bad(func(c settings) { c["backend"] = map[string]any{"url": "http://u:" + secretInURL + "@127.0.0.1:1/"} }),
		bad(func(c settings) {
			c["nats"] = map[string]any{"url": "nats://u:" + secretNATSPassword + "@127.0.0.1:1", "password": secretNATSPassword}
		}),
		bad(func(c settings) {
			c["portal"] = map[string]any{"url": "https://" + secretAccessToken + "@nowhere.invalid/?x=" + secretInURL}
		}),
		file("broken.yaml", "services: [{id: \"1001\", token: "+secretServiceToken+", \n"),
		file("tokens.yaml", "auth: {tokens_file: "+file("bad-tokens.yaml", "tokens: [{name: a, sha256: "+secretProducerToken+"}]")+"}\n"),
		config,
	} {
		w.run("config", "check", "--config", c)
		w.run("config", "show", "--config", c)
	}
	w.run("doctor", "--config", config)
	w.run("usage", "1001", "--config", config)
	w.run("deadletter", "ls", "--config", config)
	w.run("spool", "show", "--data-dir", s.dataDir())
	require.NoError(t, os.WriteFile(config, []byte("services: [{id: \"1001\", token: "+secretServiceToken+", tokn: "+secretServiceToken+"}]\n"), 0o600))
	w.ask(http.MethodPost, d.admin+"/-/reload", "", "")
	d.stop()
	w.add("log", strings.Join(d.logged(), "\n")+d.printed())
	w.files(s.dataDir())

	found := 0
	for where, text := range w.texts {
		for line := range strings.Lines(text) {
			if at := secretPattern.FindStringIndex(line); at != nil && found < 20 {
				i := at[0]
				found++
				t.Errorf("%s: …%s", where, strings.TrimSpace(line[max(0, i-80):min(len(line), i+60)]))
			}
		}
	}
	t.Logf("%d places read", len(w.texts))
}

// look reads everything the admin listener shows.
func (w *written) look(d *daemon, token string) {
	w.t.Helper()
	for _, path := range []string{
		"/", "/livez?verbose", "/readyz?verbose", "/metrics", "/api/v1/status", "/api/v1/session", "/api/v1/deadletters", "/api/v1/parked", "/api/v1/ledger", "/api/v1/ledger?format=csv",
		"/api/v1/reconcile", "/admin/api/services.json", "/admin/api/applications.json", "/stats/services/1001/usage.json?metric_name=hits&period=day", "/nowhere",
	} {
		for _, how := range []string{"Bearer " + token, ""} {
			w.ask(http.MethodGet, d.admin+path, "", "", "Authorization", how, "Accept", "text/html, application/json")
		}
		w.ask(http.MethodGet, d.admin+path+"#"+url.QueryEscape(token), "", "")
		w.ask(http.MethodGet, fmt.Sprintf("%s%s%saccess_token=%s", d.admin, path, map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")], token), "", "")
	}
	for _, path := range []string{"/-/flush", "/-/reload", "/api/v1/reconcile", "/api/v1/deadletters/requeue", "/api/v1/parked/" + token + "/counted"} {
		w.ask(http.MethodPost, d.admin+path, "application/json", `{"ids":["`+token+`x"]`, "Authorization", "Bearer "+token)
	}
}

// files reads what lies in a data directory outside the spool.
func (w *written) files(dir string) {
	w.t.Helper()
	require.NoError(w.t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, _ := filepath.Rel(dir, name)
		if e.IsDir() {
			switch relative {
			case "journal", "batches", "ids", "deadletters", "quarantine", "nats":
				return fs.SkipDir
			}
			return nil
		}
		text, err := os.ReadFile(name)
		w.add("file "+relative, string(text))
		info, statErr := e.Info()
		require.NoError(w.t, statErr)
		assert.Zero(w.t, info.Mode().Perm()&0o077, "%s may be read by others", relative)
		return err
	}))
}
