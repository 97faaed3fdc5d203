package test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
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

// TestSourcesStalledReaders: ten readers ask for a long answer over HTTPS and do not read it. Events are accepted and booked beside
// them, other readers get the answer, and the ten lose their connections.
func TestSourcesStalledReaders(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	s := newSettings(t, unreachable).set("reader.listen", "127.0.0.1:0").set("reader.max_connections", 12).
		set("reader.tls.cert_file", cert).set("reader.tls.key_file", key)
	config := s.write(t)
	writeSources(t, filepath.Join(filepath.Dir(config), "sources.yaml"), sourceEntry(t, "secret", map[string]any{
		"name": "long", "path": "/admin/api/applications.json", "refresh": "10s",
	}))
	d := launch(t, config)
	d.ready()
	reader := d.await("reader")
	const applications = 20_000
	for r := range applications / 1000 {
		events := make([]event, 1000)
		for i := range events {
			events[i] = hit("1001", fmt.Sprintf("%s%d", strings.Repeat("n", 200), r*1000+i))
		}
		d.send(events...)
	}
	d.flush()
	text, err := os.ReadFile(cert)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(text))
	trust := &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}}
	length := func() int64 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+reader+"/sources/long.json", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer secret")
		got, err := client.Do(req)
		if err != nil {
			return 0
		}
		defer func() { _ = got.Body.Close() }()
		n, _ := io.Copy(io.Discard, got.Body)
		return n
	}
	var whole int64
	eventually(t, 90*time.Second, "the answer has all applications", func() bool { whole = length(); return whole > applications*200 })

	stalled := make([]*tls.Conn, 10)
	for i := range stalled {
		raw, err := net.Dial("tcp", reader)
		require.NoError(t, err)
		defer func() { _ = raw.Close() }()
		require.NoError(t, raw.(*net.TCPConn).SetReadBuffer(4<<10))
		stalled[i] = tls.Client(raw, trust)
		_, err = io.WriteString(stalled[i], "GET /sources/long.json?access_token=secret HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		_, err = io.ReadFull(stalled[i], make([]byte, 64))
		require.NoError(t, err)
	}
	open := openSockets(d.process)
	begun := time.Now()
	d.send(hit("1001", "later"))
	accepted := time.Since(begun)
	eventually(t, 20*time.Second, "what came later is booked", func() bool {
		return strings.Contains(mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/ledger?service_id=1001&app_id=later", nil).body, "later")
	})
	assert.GreaterOrEqual(t, length(), whole, "an eleventh reader gets all of it")
	t.Logf("an event was accepted in %v beside ten stalled readers of %d bytes", accepted, whole)
	assert.Less(t, accepted, 2*time.Second)
	eventually(t, 60*time.Second, "the daemon has closed the connections of those that do not read", func() bool { return open == 0 || openSockets(d.process) <= open-8 })
}

// openSockets returns how many sockets a process has; 0 where the system does not tell.
func openSockets(p *process) (n int) {
	dir := fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		if to, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}
