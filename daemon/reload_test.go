package daemon

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console/source"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/ingest"
)

// reloadable is a daemon around an engine, with every file that a reload reads. None of its listeners serves.
type reloadable struct {
	*daemon
	dir  string
	next *config.Config // what the next reload reads
	err  error          // or why it cannot
}

func newReloadable(t *testing.T, e engine) *reloadable {
	t.Helper()
	r := &reloadable{dir: t.TempDir()}
	r.tokens(t, "producers", "services: ['*']", "old")
	r.tokens(t, "operators", "scopes: [read]", "old")
	r.certificate(t, "cert", "key")
	r.certificate(t, "ca", "ca-key")
	r.next = r.configuration("stoken1001")
	auth, err := newAuthentication(r.next)
	require.NoError(t, err)
	held, err := certificates(zap.NewNop(), "tls", r.next.TLS, nil)
	require.NoError(t, err)
	bound := &listeners{certificates: [3]*access.Certificates{held, nil}}
	auth.certificates = bound.provision
	r.daemon = &daemon{log: zap.NewNop(), config: r.next, auth: auth, listeners: bound, engine: e}
	r.sources.store = source.New(source.Options{})
	r.services.configured = eventServices(r.next.Services)
	r.handler = ingest.NewHandler(ingest.Options{Services: r.services.configured, Journal: e, Log: zap.NewNop()})
	r.reloads.begin(Source{Level: zap.NewAtomicLevel(), Read: func() (*config.Config, error) { return r.next, r.err }}, r.next)
	return r
}

// configuration is one with a service, whose token is given.
func (r *reloadable) configuration(token config.Secret) *config.Config {
	c := config.Default()
	c.Services = []config.Service{{ID: "1001", Token: token}}
	c.Auth.TokensFile, c.Admin.TokensFile = r.file("producers"), r.file("operators")
	c.Backend.CAFile = r.file("ca")
	c.TLS = config.TLS{CertFile: r.file("cert"), KeyFile: r.file("key")}
	return c
}

func (r *reloadable) file(name string) string { return filepath.Join(r.dir, name) }

func (r *reloadable) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(r.file(name), []byte(text), 0o600))
}

// tokens writes a file that knows one token.
func (r *reloadable) tokens(t *testing.T, name, grant, token string) {
	t.Helper()
	r.write(t, name, fmt.Sprintf("tokens: [{name: n, sha256: %s, %s}]\n", digest([]byte(token)), grant))
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// certificate writes one of its own authority, and returns its digest.
func (r *reloadable) certificate(t *testing.T, cert, key string) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	text, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	r.write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	r.write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})))
	return digest(der)
}

// inForce is what a reload may replace.
type inForce struct {
	Producer, Operator bool   // the old tokens are good
	Certificate        string // its digest
	Level              zapcore.Level
	Services           []event.Service
	Configuration      *config.Config
}

func (r *reloadable) inForce(t *testing.T) inForce {
	t.Helper()
	_, producer := r.auth.producers.Find("old")
	_, operator := r.auth.operators.Find("old")
	hello, err := r.listeners.certificates[0].Config().GetConfigForClient(nil)
	require.NoError(t, err)
	return inForce{
		Producer: producer == nil, Operator: operator == nil, Certificate: digest(hello.Certificates[0].Certificate[0]),
		Level: r.reloads.source.Level.Level(), Services: r.services.configured, Configuration: r.reloads.latest.Load(),
	}
}

// A reload with one bad file changes nothing at all, for each file and each engine.
func TestReloadIsAllOrNothing(t *testing.T) {
	engines(t, func(t *testing.T, _ *world, e engine) {
		for _, bad := range []string{"configuration", "producers", "operators", "cert", "ca"} {
			t.Run(bad, func(t *testing.T) {
				r := newReloadable(t, e)
				before := r.inForce(t)
				r.tokens(t, "producers", "services: ['*']", "new")
				r.tokens(t, "operators", "scopes: [read]", "new")
				r.certificate(t, "cert", "key")
				r.next = r.configuration("another")
				r.next.Log.Level = "debug"
				if bad == "configuration" {
					r.err = os.ErrInvalid
				} else {
					r.write(t, bad, "nonsense: [")
				}

				_, err := r.reload(nil)
				require.Error(t, err)
				assert.Equal(t, before, r.inForce(t))
				assert.Empty(t, e.Apply(services1001("stoken1001")), "the engine keeps its credentials")
				figures := r.reloads.figures()
				assert.True(t, figures.Failed)
				assert.EqualValues(t, 1, figures.Refused)
			})
		}
	})
}

// A reload without a mistake puts everything in force, and the answer names it.
func TestReloadApplies(t *testing.T) {
	engines(t, func(t *testing.T, _ *world, e engine) {
		r := newReloadable(t, e)
		r.tokens(t, "producers", "services: ['*']", "new")
		r.tokens(t, "operators", "scopes: [read]", "new")
		certificate := r.certificate(t, "cert", "key")
		r.next = r.configuration("another")
		r.next.Log.Level, r.next.StopTimeout = "debug", time.Minute

		done, err := r.reload(nil)
		require.NoError(t, err)
		assert.Subset(t, done.Applied, []string{"services", "log.level"})
		assert.Equal(t, []string{"stop_timeout"}, done.NeedsRestart)
		now := r.inForce(t)
		assert.False(t, now.Producer)
		assert.False(t, now.Operator)
		assert.Equal(t, certificate, now.Certificate)
		assert.Equal(t, zapcore.DebugLevel, now.Level)
		assert.Empty(t, e.Apply(services1001("another")), "the engine has the new credentials")
		assert.False(t, r.reloads.figures().Failed)
		assert.EqualValues(t, 1, r.reloads.figures().Done)
	})
}
