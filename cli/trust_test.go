package cli_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheBackendsAuthoritiesAreReadAgain: a CA file that is replaced is in force after a reload, and usage goes out.
func TestTheBackendsAuthoritiesAreReadAgain(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	_, pair := certify(t, dir)
	certify(t, other)
	stand := start(t, dir, "sandbox", "--listen", "127.0.0.1:0")
	at, err := url.Parse("http://" + stand.address("sandbox"))
	require.NoError(t, err)
	backend := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(at))
	backend.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	backend.StartTLS()
	defer backend.Close()

	trusted, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	require.NoError(t, err)
	wrong, err := os.ReadFile(filepath.Join(other, "cert.pem"))
	require.NoError(t, err)
	ca := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(ca, wrong, 0o600))
	d := start(t, dir, "serve", "--config", configFile(t, dir, "data_dir: data\nlisten: \"127.0.0.1:0\"\nadmin: {listen: \"127.0.0.1:0\"}\n"+
		"spool: {max_bytes: 256MiB, min_free_bytes: 0B}\nbackend: {url: \""+backend.URL+"\", ca_file: ca.pem}\nservices: [{id: \"1001\", token: stoken1001}]\n"))
	traffic, admin := d.ready()
	status, body := send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/events", event)
	require.Equal(t, http.StatusAccepted, status, body)
	send(t, http.DefaultClient, http.MethodPost, admin+"/-/flush", "")
	_, waiting := pending(t, admin)
	require.EqualValues(t, 1, waiting, "the backend is not trusted")
	require.NoError(t, os.WriteFile(ca, trusted, 0o600))
	status, body = send(t, http.DefaultClient, http.MethodPost, admin+"/-/reload", "")
	require.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, `"applied":["backend.ca_file"]`)
	d.eventually("delivered", func() bool { _, waiting := pending(t, admin); return waiting == 0 })
}
