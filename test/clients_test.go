package test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const nodeClientVariable = "REPORTERD_NODE_CLIENT"

// clientResult is one call of a real client and what it made of the answer.
type clientResult struct {
	Call     string
	Accepted bool
	Code     string
	Error    string
}

// newClientSettings configures 1001 with its token; the other services are passed through.
func newClientSettings(t *testing.T, b *backend) settings {
	return newSettings(t, b.url).set("services", []any{map[string]any{"id": "1001", "token": "stoken1001"}})
}

// run runs a client and returns its results.
func run(t *testing.T, dir string, env []string, name string, args ...string) []clientResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%v: %s%s", cmd.Args, out, stderr.String())
	var results []clientResult
	require.NoError(t, json.Unmarshal(out, &results), "%s", out)
	return results
}

// compareResults wants every call accepted but the last, which came with a wrong token.
func compareResults(t *testing.T, results []clientResult) {
	t.Helper()
	require.NotEmpty(t, results)
	for _, r := range results[:len(results)-1] {
		assert.True(t, r.Accepted, "%+v", r)
	}
	last := results[len(results)-1]
	assert.False(t, last.Accepted, "%+v", last)
	assert.Equal(t, "service_token_invalid", last.Code, "%+v", last)
}

// TestGoClient: 3scale's own Go client reports through the daemon, by changing its backend URL.
func TestGoClient(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	d := serve(t, newClientSettings(t, b))
	program := filepath.Join(t.TempDir(), "client")
	out, err := exec.Command("go", "build", "-C", filepath.Join("clients", "go"), "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	compareResults(t, run(t, "", nil, program, d.traffic))
	d.drained(10 * time.Second)
	want := usage{
		"1001": {"app1": {"hits": 3, "transfer": 30}, "app2": {"hits": 300, "transfer": 3000}},
		"1002": {"appuk": {"hits": 2, "transfer": 20}},
	}
	assert.Equal(t, want.counters(), b.usage().counters())
}

// TestNodeClient: so does 3scale's npm client, which speaks HTTPS only.
func TestNodeClient(t *testing.T) {
	if os.Getenv(nodeClientVariable) == "" {
		t.Skipf("needs node: run `npm ci` in test/clients/node, then set %s=1", nodeClientVariable)
	}
	b := sandbox(t)
	cert, key := certificate(t)
	d := serve(t, newClientSettings(t, b).set("tls.cert_file", cert).set("tls.key_file", key))
	host, port, err := net.SplitHostPort(d.address("traffic"))
	require.NoError(t, err)
	results := run(t, filepath.Join("clients", "node"), []string{"NODE_EXTRA_CA_CERTS=" + cert, "NODE_NO_WARNINGS=1"},
		"node", "report.js", host, port)
	compareResults(t, results)
	d.drained(10 * time.Second)
	want := usage{
		"1001": {"app1": {"hits": 3, "transfer": 30}, "app2": {"hits": 1, "transfer": 10}},
		"1002": {"appuk": {"hits": 2, "transfer": 20}},
	}
	assert.Equal(t, want.counters(), b.usage().counters())
}

// certificate makes a certificate for the loopback that is its own authority, and returns its file and
// that of its key.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "reporterd test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	rawKey, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, kind string, content []byte) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600))
		return file
	}
	return write("cert.pem", "CERTIFICATE", cert), write("key.pem", "PRIVATE KEY", rawKey)
}
