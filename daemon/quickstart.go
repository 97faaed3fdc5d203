package daemon

import (
	"fmt"
	"net"
	"strings"

	"github.com/reporterd/reporterd/console/client"
)

// quickStart returns what serve --sandbox prints when it is ready: commands to copy and paste.
func quickStart(l *listeners, m *messages, dataDir string) string {
	traffic, admin, sandbox := l.traffic, l.admin, l.sandbox
	return fmt.Sprintf(`
reporterd is running, with a sandbox in place of 3scale.

Send an event:

  curl -sS %[1]s/v1/events -H 'Content-Type: application/json' \
    -d '{"service_id":"1001","app_id":"app1","usage":{"hits":1,"transfer":512}}'

A second later, see it counted where 3scale would count it:

  curl -sS %[3]s/sandbox/usage

Report as any 3scale client does, and do not wait:

  curl -sS %[1]s/transactions.xml -d service_token=stoken1001 -d service_id=1001 \
    -d 'transactions[0][app_id]=app2' -d 'transactions[0][usage][hits]=3'
  curl -sS -X POST %[2]s/-/flush

See how it is, in figures or in a browser at %[6]s:

  curl -sS %[2]s/api/v1/status

%[5]sEvents are kept in %[4]s; the sandbox counts in memory. Ctrl-C stops both.

`, traffic.curl(), admin.curl(), sandbox.curl(), dataDir, m.publishCommand(), admin.browser())
}

// publishCommand returns the command to publish an event with the nats command; empty without an embedded server.
func (m *messages) publishCommand() string {
	if m == nil || m.server == nil {
		return ""
	}
	return fmt.Sprintf(`Publish an event, with the nats command (https://github.com/nats-io/natscli):

  nats --server nats://%s pub usage.1001 '{"app_id":"app1","usage":{"hits":1}}'

`, client.Reachable(m.server.Address()))
}

// browser returns an address for a browser on this machine.
func (l *listener) browser() string {
	if strings.HasPrefix(l.address, "unix:") {
		return "the admin listener, once it is on a port"
	}
	return strings.TrimPrefix(l.curl(), "--insecure ") + "/"
}

// curl returns the beginning of an address for curl on this machine.
func (l *listener) curl() string {
	scheme := "http"
	if l.secure {
		scheme = "--insecure https" // the certificate is rarely one for this machine's own name
	}
	if path, ok := strings.CutPrefix(l.address, "unix:"); ok {
		return fmt.Sprintf("--unix-socket '%s' %s://localhost", strings.ReplaceAll(path, "'", `'\''`), scheme)
	}
	host, port, _ := net.SplitHostPort(l.address) // it is bound, so it is well formed
	if ip := net.ParseIP(host); ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
