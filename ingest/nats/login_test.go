package nats_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	ingestnats "github.com/reporterd/reporterd/ingest/nats"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// guarded starts a server that asks who comes.
func guarded(t *testing.T, o *server.Options) string {
	t.Helper()
	o.Host, o.Port, o.NoLog, o.NoSigs = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(o)
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(10*time.Second))
	return s.ClientURL()
}

// arrives opens a bridge and reports whether it gets in.
func arrives(t *testing.T, o ingestnats.Options) bool {
	t.Helper()
	o.Subject, o.Handler = "usage.>", discard()
	b, err := ingestnats.Open(o)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Stop(t.Context())) }()
	return b.Health() == nil
}

func file(t *testing.T, text []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(name, text, 0o600))
	return name
}

func TestUserAndPassword(t *testing.T) {
	url := guarded(t, &server.Options{Username: "u", Password: "right"})
	assert.True(t, arrives(t, ingestnats.Options{URL: url, Login: ingestnats.Login{User: "u", Password: "right"}}))
	assert.False(t, arrives(t, ingestnats.Options{URL: url, Login: ingestnats.Login{User: "u", Password: "wrong"}}))
	assert.False(t, arrives(t, ingestnats.Options{URL: url}))
}

func TestNKey(t *testing.T) {
	user, err := nkeys.CreateUser()
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	public, err := user.PublicKey()
	require.NoError(t, err)
	url := guarded(t, &server.Options{Nkeys: []*server.NkeyUser{{Nkey: public}}})
	assert.True(t, arrives(t, ingestnats.Options{URL: url, Login: ingestnats.Login{NKeyFile: file(t, seed)}}))
	_, err = ingestnats.Open(ingestnats.Options{URL: url, Subject: "usage.>", Handler: discard(), Login: ingestnats.Login{NKeyFile: file(t, []byte("no seed"))}})
	require.ErrorContains(t, err, "NKEY seed file")
}

func TestCredentialsFile(t *testing.T) {
	operator, account, user := pair(t, nkeys.CreateOperator), pair(t, nkeys.CreateAccount), pair(t, nkeys.CreateUser)
	claims := jwt.NewAccountClaims(public(t, account))
	accountJWT, err := claims.Encode(operator)
	require.NoError(t, err)
	userJWT, err := jwt.NewUserClaims(public(t, user)).Encode(account)
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	credentials, err := jwt.FormatUserConfig(userJWT, seed)
	require.NoError(t, err)
	known := &server.MemAccResolver{}
	require.NoError(t, known.Store(public(t, account), accountJWT))
	url := guarded(t, &server.Options{TrustedKeys: []string{public(t, operator)}, AccountResolver: known})
	assert.True(t, arrives(t, ingestnats.Options{URL: url, Login: ingestnats.Login{CredentialsFile: file(t, credentials)}}))
	assert.False(t, arrives(t, ingestnats.Options{URL: url}))
}

func pair(t *testing.T, create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	t.Helper()
	k, err := create()
	require.NoError(t, err)
	return k
}

func public(t *testing.T, k nkeys.KeyPair) string {
	t.Helper()
	p, err := k.PublicKey()
	require.NoError(t, err)
	return p
}

// Both sides show a certificate.
func TestMutualTLS(t *testing.T) {
	own, pool := certificate(t)
	url := guarded(t, &server.Options{TLSVerify: true, TLSTimeout: 5, TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
	}})
	with := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{own}}
	assert.True(t, arrives(t, ingestnats.Options{URL: url, TLS: with}))
	assert.False(t, arrives(t, ingestnats.Options{URL: url, TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}}))
}

// certificate is one that is self-signed, for either side.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bus"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}
