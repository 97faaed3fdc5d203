package access

import (
	"net"
	"strings"
)

// Loopback reports whether a host, with or without a port, names this machine and nothing else:
// localhost, or an address that cannot be reached from elsewhere. Other names are not looked up: who
// answers may answer anything.
func Loopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if name := strings.ToLower(strings.TrimSuffix(host, ".")); name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
