package config

import (
	"path/filepath"
	"time"
)

// Admin is the admin listener.
type Admin struct {
	// Where operators and Prometheus look: host:port, or unix:/path/to.sock.
	Listen string `key:"listen" kind:"address" need:"true"`
	// The file of the operators' tokens, each with its scopes: `read`, `write` (includes `read`), `stats`,
	// `account_management`. Its form is that of `auth.tokens_file`. `/livez`, `/readyz` and the empty page
	// stay open. A reload reads it again. Empty: no tokens are asked for.
	TokensFile string `key:"tokens_file" kind:"file" reload:"file"`
	// The origins of web pages that may read `/stats/` and `/admin/api/` from a browser, separated by commas, such
	// as https://dashboards.example.com, or `*` for all: CORS. Nothing else is shared with other pages. Empty: none.
	CORSOrigins string `key:"cors_origins" kind:"origins"`
	// Names under which the admin listener may be asked where no tokens are needed, separated by commas, such as
	// reporterd.example.com. Addresses, names without a dot, and those that end in .internal, .local, .svc, .cluster.local
	// or .home.arpa need not be named, but on a loopback address: there only localhost and addresses are taken. Any other
	// name may be of a web page that was led to this listener to use it from a browser.
	Hosts string `key:"hosts" kind:"hosts"`
	// Answers without a token where neither `admin.tokens_file` nor `admin.tls.client_ca_file` is given and the listener has an
	// address. A request that shows that a proxy passed it on is refused all the same, unless its Host is in `admin.hosts`; not
	// every proxy leaves a trace. False: such a listener answers `/livez` and `/readyz`, and the commands of the daemon's user
	// only. `insecure` answers all.
	Open bool `key:"open"`
	// Serves Go's profiler under `/debug/pprof/`.
	Pprof bool `key:"pprof"`
	// HTTPS on the admin listener.
	TLS TLS `key:"tls"`
}

// Proxies are those in front of the traffic, admin and gate listeners.
type Proxies struct {
	// The addresses and networks whose word about their callers is taken, separated by commas: 10.0.0.7, fd00::/8, or `unix` for
	// what connects to a unix socket. They are exempt from the bounds on connections of one address. Empty: none.
	Trusted string `key:"trusted" kind:"networks"`
	// The listeners on which connections of `proxies.trusted` begin with a PROXY header, version 1 or 2, separated by commas:
	// traffic, admin, gate. The address in it is the caller's, in bounds and in the log. Such a connection without a header is
	// closed, also one of a command on an address that is trusted. Empty: none.
	Protocol string `key:"protocol" kind:"proxied"`
	// The header field in which `proxies.trusted` write the caller's address, such as X-Forwarded-For or X-Real-IP: the last
	// address in it that is not trusted is the caller's, in the log and in the bounds on one address, which then bound the
	// requests that it has under way. Empty: no field is read.
	AddressHeader string `key:"address_header" kind:"name"`
}

// ProtocolListeners are the names in Protocol, one by one.
func (p Proxies) ProtocolListeners() []string { return words(p.Protocol) }

// Reader is the listener of the sources.
type Reader struct {
	// Where dashboards read `/sources/NAME.json`, `.csv` and `.ndjson`: host:port, or unix:/path/to.sock. Nothing else is served
	// there, and every source needs its own token. Empty: there is no such listener, and the admin listener serves them.
	Listen string `key:"listen" kind:"address"`
	// The origins of web pages that may read the sources from a browser, separated by commas, or `*` for all: CORS. Empty: none.
	CORSOrigins string `key:"cors_origins" kind:"origins"`
	// Connections of the listener; when there are more, the same one goes as on the traffic listener. They are reserved below the
	// limit of open files.
	MaxConnections int `key:"max_connections" min:"1" max:"100000"`
	// Connections of one client address; 0 is no bound.
	MaxConnectionsPerAddress int `key:"max_connections_per_address" min:"0" max:"100000"`
	// HTTPS on the listener. A dashboard in the cloud needs it, here or in a proxy.
	TLS TLS `key:"tls"`
}

// Gate is the listener for proxies.
type Gate struct {
	// Where proxies ask: host:port, or unix:/path/to.sock. No token is asked for: every process that can connect can ask, and
	// a yes counts. So it should be a socket, or an address that only proxies reach. It needs `gate.rules` or `gate.portal`, and `spool.engine: file`. Empty: there is no
	// such listener.
	Listen string `key:"listen" kind:"address"`
	// The file of the services: hosts, places of credentials and the rules that turn requests into usage; docs/gateways.md has
	// its form, and `reporterd gate check` reads it. A reload reads it again.
	Rules string `key:"rules" kind:"file" reload:"file"`
	// Takes hosts, places of credentials, rules and error answers of the services of `services` from `portal`: the latest
	// configuration of each one's production gateway. What was read last is kept in `data_dir` and in force while the portal is
	// away; a service that `gate.rules` describes is not asked for. It needs `portal.url`, and `gate.rules` may be empty then.
	Portal bool `key:"portal"`
	// How often the portal is asked for configurations. A reload asks at once.
	PortalEvery time.Duration `key:"portal_every" min:"1s" max:"24h"`
	// How long an answer may wait for 3scale; after that `authorize.mode` decides by what is remembered.
	Timeout time.Duration `key:"timeout" min:"1ms" max:"1m"`
	// The header field in which the proxy gives every call an id of its own, such as X-Request-Id: a question that the proxy
	// repeats counts once. The proxy has to replace what its callers write there. Empty: every question counts.
	RequestIDHeader string `key:"request_id_header" kind:"name"`
	// Connections of the listener, reserved below the limit of open files.
	MaxConnections int `key:"max_connections" min:"1" max:"100000"`
}

// Origins are the origins in CORSOrigins, one by one.
func (r Reader) Origins() []string { return Admin{CORSOrigins: r.CORSOrigins}.Origins() }

// SourcesFile returns the file of the sources, which may not be there: it is beside the configuration file, or in the data directory
// where there is none.
func (c *Config) SourcesFile() string {
	switch {
	case c.Sources != "":
		return c.Sources
	case c.file.name == "":
		return filepath.Join(c.DataDir, "sources.yaml")
	}
	return filepath.Join(filepath.Dir(c.file.name), "sources.yaml")
}
