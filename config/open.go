package config

import (
	"net"
	"strings"
)

// check wants the parts of a certificate together.
func (t *TLS) check(found *problems, key string) {
	if (t.CertFile == "") != (t.KeyFile == "") {
		found.add(key, nil, "expected cert_file and key_file together")
	}
	if t.ClientCAFile != "" && t.CertFile == "" {
		found.add(key+".client_ca_file", t.ClientCAFile, "expected cert_file and key_file beside it")
	}
}

// checkOpen refuses a listener that other machines can reach without authentication.
func (c *Config) checkOpen(found *problems) {
	if c.Insecure {
		return
	}
	for _, l := range []struct {
		key, address, tokens, authorities string
		asked                             bool
	}{
		{"listen", c.Listen, "auth.tokens_file", "tls.client_ca_file", c.Auth.TokensFile != "" || c.TLS.ClientCAFile != ""},
		{"admin.listen", c.Admin.Listen, "admin.tokens_file", "admin.tls.client_ca_file", c.Admin.TokensFile != "" || c.Admin.TLS.ClientCAFile != ""},
		{"nats.listen", c.NATS.Listen, "auth.tokens_file", "", c.Auth.TokensFile != "" || !c.NATS.Embedded},
	} {
		if !l.asked && reachable(l.address) && !found.has(l.key) {
			credentials := l.tokens
			if l.authorities != "" {
				credentials += " or " + l.authorities
			}
			found.add(l.key, l.address, "can be reached from other machines without authentication: expected %s, an address of this machine alone, or insecure: true", credentials)
		}
	}
}

// AdminClosed reports whether the admin listener has to refuse callers without a token although none are configured: a proxy that
// leads there asks under a name of this machine, and for callers from anywhere. A unix socket is protected by its mode.
func (c *Config) AdminClosed() bool {
	asked := c.Admin.TokensFile != "" || c.Admin.TLS.ClientCAFile != ""
	return !asked && !c.Admin.Open && !c.Insecure && !strings.HasPrefix(c.Admin.Listen, "unix:")
}

// reachable reports whether an address may be reached from other machines. Names are not looked up.
func reachable(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" || strings.HasPrefix(address, "unix:") { // what is no address is said elsewhere
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}
