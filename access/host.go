package access

import (
	"net"
	"slices"
	"strings"
)

// privateZones are the ends of names that cannot be registered: no page of another site has such a name.
var privateZones = []string{".internal", ".local", ".localhost", ".svc", ".cluster.local", ".home.arpa"}

// TrustedHost reports whether the Host of a request can only be a name of the server itself, and not one that a page of another
// site leads to the server's address to be taken for the server's own page (DNS rebinding): an address, a name without a dot, a name
// of a private zone, or one of hosts. A request without a Host is of no browser.
func TrustedHost(hostport string, hosts []string) bool {
	switch host := hostName(hostport); {
	case host == "", !strings.Contains(host, "."), net.ParseIP(host) != nil:
		return true
	case slices.ContainsFunc(privateZones, func(zone string) bool { return strings.HasSuffix(host, zone) }):
		return true
	}
	return NamedHost(hostport, hosts)
}

// NamedHost reports whether the Host of a request is one of hosts, with any port.
func NamedHost(hostport string, hosts []string) bool {
	host := hostName(hostport)
	return slices.ContainsFunc(hosts, func(known string) bool { return strings.EqualFold(known, host) })
}

// hostName is a host in lower case, without a port, brackets and a dot at its end.
func hostName(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), "."))
}
