package cli_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// certify writes cert.pem and key.pem for this machine into dir; the certificate is its own authority.
func certify(t *testing.T, dir string) (*x509.CertPool, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), certPEM, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), keyPEM, 0o600))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	require.NoError(t, err)
	return pool, pair
}

func TestHTTPS(t *testing.T) {
	dir := t.TempDir()
	pool, pair := certify(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"),
		[]byte("tls: {cert_file: cert.pem, key_file: key.pem, client_ca_file: cert.pem}\n"), 0o600))
	d := sandboxed(t, dir, "-c", "r.yaml")
	d.ready()
	url := "https://" + d.address("traffic") + "/v1/events"

	known := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}, ForceAttemptHTTP2: true,
	}}
	status, body := send(t, known, http.MethodPost, url, event)
	assert.Equal(t, http.StatusAccepted, status, body)

	stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	status, _ = send(t, stranger, http.MethodPost, url, event)
	assert.Zero(t, status, "no certificate, no answer")

	old := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: pool, Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS11,
	}}}
	status, _ = send(t, old, http.MethodPost, url, event)
	assert.Zero(t, status, "TLS 1.1, no answer")
}

// TestAdminHTTPS: the admin listener speaks HTTPS, the commands trust the daemon's own certificate and no other, and a new
// one is in force after a reload, while a bad one is not taken.
func TestAdminHTTPS(t *testing.T) {
	dir := t.TempDir()
	pool, _ := certify(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"),
		[]byte("admin: {tls: {cert_file: cert.pem, key_file: key.pem}}\n"), 0o600))
	d := sandboxed(t, dir, "-c", "r.yaml", "--data-dir", "data")
	at := "https://" + d.address("admin")
	ask := func(pool *x509.CertPool, path string) int {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
		status, _ := send(t, client, http.MethodGet, at+path, "")
		return status
	}
	require.Eventually(t, func() bool { return ask(pool, "/readyz") == http.StatusOK }, 10*time.Second, 20*time.Millisecond)

	status, stdout, stderr := execute(t, dir, nil, "healthcheck", "--data-dir", "data")
	assert.Equal(t, 0, status, stderr)
	assert.Equal(t, "ok\n", stdout)
	status, _, stderr = execute(t, dir, nil, "healthcheck", "--admin-url", at)
	assert.Equal(t, 1, status, "whoever names an address trusts the system's authorities")
	assert.Contains(t, stderr, "certificate")

	renewed, _ := certify(t, dir)
	require.Equal(t, http.StatusOK, reloadOver(t, pool, at))
	assert.Zero(t, ask(pool, "/livez"), "the old one is gone")
	assert.Equal(t, http.StatusOK, ask(renewed, "/livez"))
	status, _, stderr = execute(t, dir, nil, "deadletter", "ls", "--data-dir", "data")
	assert.Equal(t, 0, status, stderr)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), []byte("nonsense"), 0o600))
	assert.NotEqual(t, http.StatusOK, reloadOver(t, renewed, at))
	assert.Equal(t, http.StatusOK, ask(renewed, "/livez"), "the one before stays")
}

// TestClientCertificates: where both listeners ask for client certificates, the commands on the daemon's machine show one that is
// valid for this start alone.
func TestClientCertificates(t *testing.T) {
	dir := t.TempDir()
	certify(t, dir)
	const secure = "{cert_file: cert.pem, key_file: key.pem, client_ca_file: cert.pem}"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"), []byte("tls: "+secure+"\nadmin: {tls: "+secure+"}\n"), 0o600))
	d := sandboxed(t, dir, "-c", "r.yaml", "--data-dir", "data")
	announced := func(d *daemon) (lines []string) {
		d.address("admin")
		require.Eventually(t, func() bool {
			status, _, _ := execute(t, dir, nil, "healthcheck", "--data-dir", "data")
			return status == 0
		}, 10*time.Second, 20*time.Millisecond)
		text, err := os.ReadFile(filepath.Join(dir, "data", "admin"))
		require.NoError(t, err)
		return strings.Split(string(text), "\n")
	}
	before := announced(d)
	for _, args := range [][]string{{"healthcheck", "--live"}, {"status"}, {"send", "--service", "1001", "--app", "app1", "--usage", "hits=1"}, {"flush"}} {
		status, _, stderr := execute(t, dir, nil, append(args, "--data-dir", "data")...)
		assert.Equal(t, 0, status, "%v: %s", args, stderr)
	}
	d.stop()
	after := announced(sandboxed(t, dir, "-c", "r.yaml", "--data-dir", "data"))
	require.Len(t, after, 7)
	after[5] = before[5] // the certificate of the start before
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "admin"), []byte(strings.Join(after, "\n")), 0o600))
	status, _, stderr := execute(t, dir, nil, "status", "--data-dir", "data")
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "certificate")
}

func reloadOver(t *testing.T, pool *x509.CertPool, at string) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	status, _ := send(t, client, http.MethodPost, at+"/-/reload", "")
	return status
}
