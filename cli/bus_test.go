package cli_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const published = `{"app_id":"app1","usage":{"hits":1}}`

// One publish with a stock client is counted at the sandbox, a request is answered, and a bad publish is a
// dead letter.
func TestPublish(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := sandboxed(t, dir)
	_, admin := d.ready()
	d.eventually("the commands are printed", func() bool { return strings.Contains(d.printed(), "Ctrl-C") })
	assert.Contains(t, d.printed(), "nats --server nats://"+d.address("nats")+" pub usage.1001 '"+published+"'")
	client, err := nats.Connect("nats://" + d.address("nats"))
	require.NoError(t, err)
	defer client.Close()

	require.NoError(t, client.Publish("usage.1001", []byte(published)))
	require.NoError(t, client.Publish("usage.1001", []byte(`{"app_id":"app1","usage":"poison"}`)))
	answer, err := client.Request("usage.1001", []byte(published), 5*time.Second)
	require.NoError(t, err)
	assert.JSONEq(t, `{"accepted":1,"duplicates":0}`, string(answer.Data))
	d.eventually("counted", func() bool {
		_, body := get(t, "http://"+d.address("sandbox")+"/sandbox/usage")
		return strings.Contains(body, `"app1":{"hits":2}`)
	})
	d.eventually("the bad one is a dead letter", func() bool {
		_, body := get(t, admin+"/api/v1/deadletters?reason=invalid_message")
		return strings.Contains(body, `"subject":"usage.1001"`)
	})
	_, list := get(t, admin+"/api/v1/deadletters")
	assert.NotContains(t, list, "poison", "a payload may hold a secret")
	id := regexp.MustCompile(`nats-[a-z0-9-]+`).FindString(list)
	_, shown, _ := execute(t, dir, nil, "deadletter", "show", id, "--data-dir", "reporterd-data", "--reveal-user-keys")
	assert.Contains(t, shown, `payload      {"app_id":"app1","usage":"poison"}`)
	_, body := get(t, admin+"/metrics")
	assert.Contains(t, body, `reporterd_ingest_events_total{transport="nats"} 2`)
	assert.Contains(t, body, `reporterd_nats_refused_total{reason="invalid_message"} 1`)
	assert.Equal(t, 0, d.stop())
}

// Authorizations are asked by request, with the service in the subject, and answered as by HTTP.
func TestAuthorizeByRequest(t *testing.T) {
	t.Parallel()
	d := sandboxed(t, t.TempDir())
	d.ready()
	d.eventually("the commands are printed", func() bool { return strings.Contains(d.printed(), "Ctrl-C") })
	client, err := nats.Connect("nats://" + d.address("nats"))
	require.NoError(t, err)
	defer client.Close()
	for _, c := range []struct{ subject, body, code, want string }{
		{"authorize.1001", `{"app_id":"app1","app_key":"key1"}`, "", `"authorized":true`},
		{"authrep.1001", `{"service_id":"1001","app_id":"app1","app_key":"key1","usage":{"hits":1}}`, "", `"authorized":true`},
		{"authorize.1001", `{"app_id":"nosuch"}`, "404", `"status":404`},
		{"authorize.1001", `{"service_id":"1002","app_id":"app1"}`, "422", "the subject names"},
		{"authorize.1001", `no JSON`, "400", `"status":400`},
	} {
		answer, err := client.Request(c.subject, []byte(c.body), 5*time.Second)
		require.NoError(t, err)
		assert.Equal(t, c.code, answer.Header.Get("Nats-Service-Error-Code"), "%s", answer.Data)
		assert.Contains(t, string(answer.Data), c.want)
	}
	d.eventually("the authrep is counted", func() bool {
		_, body := get(t, "http://"+d.address("sandbox")+"/sandbox/usage")
		return strings.Contains(body, `"app1":{"hits":1}`)
	})
	assert.Equal(t, 0, d.stop())
}

// What is in the stream of the embedded server survives a kill, and is counted once by the next daemon.
func TestStreamSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	stream := []string{"-c", "r.yaml"}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"), []byte("nats: {stream: USAGE}\n"), 0o600))
	d := sandboxed(t, dir, stream...)
	d.ready()
	client, err := nats.Connect("nats://" + d.address("nats"))
	require.NoError(t, err)
	defer client.Close()
	js, err := jetstream.New(client)
	require.NoError(t, err)
	d.eventually("the stream is made", func() bool { _, err := js.Stream(t.Context(), "USAGE"); return err == nil })
	for range 20 {
		_, err := js.Publish(t.Context(), "usage.1001", []byte(published))
		require.NoError(t, err)
	}
	d.kill()

	second := sandboxed(t, dir, stream...)
	_, admin := second.ready()
	second.eventually("every message was taken, once", func() bool {
		accepted, _ := pending(t, admin)
		return accepted == 20
	})
	assert.Equal(t, 0, second.stop())
}

// Without its NATS server the daemon is ready and takes events by HTTP; it says what is missing.
func TestNATSIsAway(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"), []byte("nats: {url: 'nats://127.0.0.1:1'}\n"), 0o600))
	d := sandboxed(t, dir, "-c", "r.yaml")
	traffic, admin := d.ready()
	status, body := get(t, admin+"/readyz")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "degraded: nats: the server cannot be reached")
	status, body = send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/events", event)
	require.Equal(t, http.StatusAccepted, status, body)
	assert.Equal(t, 0, d.stop())
}

func TestANATSPortThatIsTaken(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	status, _, stderr := execute(t, t.TempDir(), nil, append(append([]string{"serve", "--sandbox"}, free...), "--nats-listen", taken.Addr().String())...)
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "embedded NATS server: "+taken.Addr().String()+": address already in use")
}
