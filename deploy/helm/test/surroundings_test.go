package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// surroundings are what a pod finds in a cluster: a backend, a NATS server, a secret with tokens and certificates.
type surroundings struct {
	binary             string
	backend, nats      string // URLs
	secrets            string // directory of the secret's keys
	producer, operator string // tokens
	pool               *x509.CertPool
	pair               tls.Certificate // of a client; the server has the same
}

var built struct {
	once sync.Once
	path string
	out  []byte
	err  error
}

// binary builds the daemon, once for all tests.
func binary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		dir, err := os.MkdirTemp("", "reporterd-chart-")
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "reporterd")
		cmd := exec.Command("go", "build", "-o", built.path, "./cmd/reporterd")
		cmd.Dir = "../../.."
		built.out, built.err = cmd.CombinedOutput()
	})
	if built.err != nil {
		t.Fatalf("%v: %s", built.err, built.out)
	}
	return built.path
}

func TestMain(m *testing.M) {
	status := m.Run()
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(status)
}

// newSurroundings starts the stand-in backend and its NATS server, which end with the test.
func newSurroundings(t *testing.T) *surroundings {
	t.Helper()
	dir := t.TempDir()
	s := &surroundings{binary: binary(t), secrets: filepath.Join(dir, "secrets")}
	if err := os.Mkdir(s.secrets, 0o700); err != nil {
		t.Fatal(err)
	}
	s.write(t, "1001", []byte("stoken1001"))
	s.certify(t)
	s.producer = s.token(t, "producers.yaml", "--services", "1001")
	s.operator = s.token(t, "operators.yaml", "--scopes", "read")
	s.write(t, "scraper", []byte(s.operator))
	backend, nats, traffic, admin := freeAddress(t), freeAddress(t), freeAddress(t), freeAddress(t)
	s.backend, s.nats = "http://"+backend, "nats://"+nats
	cmd := exec.Command(s.binary, "serve", "--sandbox", "--data-dir", filepath.Join(dir, "data"), "--listen", traffic,
		"--admin-listen", admin, "--sandbox-listen", backend, "--nats-listen", nats)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for began := time.Now(); ; <-again.C {
		answer, err := http.Get("http://" + admin + "/readyz")
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return s
			}
		}
		if time.Since(began) > 40*time.Second {
			t.Fatalf("the sandbox is not ready: %v", err)
		}
	}
}

func (s *surroundings) write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.secrets, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// token makes a file of one token, and returns it.
func (s *surroundings) token(t *testing.T, file string, args ...string) string {
	t.Helper()
	out, err := exec.Command(s.binary, append([]string{"token", "create", "--name", "x", "--file", filepath.Join(s.secrets, file)}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// certify makes the certificate of servers and clients, which is its own authority.
func (s *surroundings) certify(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	s.write(t, "cert.pem", certificate)
	s.write(t, "key.pem", secret)
	s.pool = x509.NewCertPool()
	s.pool.AppendCertsFromPEM(certificate)
	if s.pair, err = tls.X509KeyPair(certificate, secret); err != nil {
		t.Fatal(err)
	}
}

// client is an HTTP client that trusts the servers, and with mutual shows a certificate; and the scheme to use.
func (s *surroundings) client(secure, mutual bool) (*http.Client, string) {
	if !secure {
		return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}, "http"
	}
	config := &tls.Config{RootCAs: s.pool}
	if mutual {
		config.Certificates = []tls.Certificate{s.pair}
	}
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}}, "https"
}

var ports atomic.Int32

// freeAddress is one that no outgoing connection is given meanwhile.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprint("127.0.0.1:", 25_000+ports.Add(1))
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}
