package config

import (
	"net"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/reporterd/reporterd/internal/timespec"
)

// check holds every plain key against its tags, then the keys against each other.
func (c *Config) check(found *problems) {
	for _, f := range fields(reflect.ValueOf(c).Elem(), "") {
		if !found.has(f.key) {
			f.check(found)
		}
	}
	c.TLS.check(found, "tls")
	c.Admin.TLS.check(found, "admin.tls")
	c.Reader.TLS.check(found, "reader.tls")
	c.checkOpen(found)
	if len(c.Services) == 0 && !c.Backend.Passthrough.On() && !found.has("services") {
		found.add("services", nil, "expected at least one, since backend.passthrough is off")
	}
	switch {
	case c.Reconcile.Witness == "":
	case c.Portal.URL == "":
		found.add("reconcile.witness", c.Reconcile.Witness, "expected portal.url, which tells the services that have the metric")
	case strings.ContainsAny(c.Reconcile.Witness, "[]& \t"):
		found.add("reconcile.witness", c.Reconcile.Witness, "expected the system name of a metric")
	}
	if c.Spool.Engine == "jetstream" && c.NATS.URL == "" {
		found.add("nats.url", nil, "expected the servers' addresses, since spool.engine is jetstream")
	}
	if c.Spool.Engine == "jetstream" && c.Spool.MaxBytes <= c.Spool.MinFreeBytes {
		found.add("spool.max_bytes", c.Spool.MaxBytes, "expected more than spool.min_free_bytes (%v), which stays free in the stream: "+
			"no event would be accepted", c.Spool.MinFreeBytes)
	}
	if c.MemoryLimit > 0 && c.MemoryLimit < 256*MiB {
		found.add("memory_limit", c.MemoryLimit, "expected at least 256MiB, or 0B for no limit of its own")
	}
	c.Gate.check(found, c.Spool.Engine, c.Portal.URL)
	c.Proxies.check(found)
	c.checkListeners(found)
	c.NATS.check(found)
	c.NATS.checkReplies(found, c.Cluster.Prefix)
}

// check checks the listener for proxies.
func (g Gate) check(found *problems, engine, portal string) {
	if g.Listen != "" && g.Rules == "" && !g.Portal {
		found.add("gate.rules", nil, "expected the file of the services, or gate.portal, since gate.listen is set")
	}
	if g.Portal && portal == "" {
		found.add("gate.portal", g.Portal, "expected portal.url, from which the configurations are read")
	}
	if g.Listen != "" && engine == "jetstream" {
		found.add("gate.listen", g.Listen, "expected no such listener with spool.engine jetstream: replicas do not answer proxies yet")
	}
}

// checkListeners wants every listener at an address of its own.
func (c *Config) checkListeners(found *problems) {
	taken := map[string]string{}
	listeners := []struct{ key, address string }{
		{"listen", c.Listen}, {"admin.listen", c.Admin.Listen}, {"sandbox.listen", c.Sandbox.Listen},
	}
	if c.Reader.Listen != "" {
		listeners = append(listeners, struct{ key, address string }{"reader.listen", c.Reader.Listen})
	}
	if c.Gate.Listen != "" {
		listeners = append(listeners, struct{ key, address string }{"gate.listen", c.Gate.Listen})
	}
	if c.NATS.Embedded {
		listeners = append(listeners, struct{ key, address string }{"nats.listen", c.NATS.Listen})
	}
	for _, l := range listeners {
		if other := taken[l.address]; other != "" && !strings.HasSuffix(l.address, ":0") {
			found.add(l.key, l.address, "expected an address of its own: %s has this one", other)
		}
		taken[l.address] = l.key
	}
}

// check holds one value against its tags. One line a key: the first thing wrong is the one to know.
func (f field) check(found *problems) {
	value := f.value.Interface()
	text, _ := value.(string)
	if p, is := value.(Passthrough); is {
		text = string(p)
	}
	switch {
	case text == "" && f.tag.Get("need") != "":
		found.add(f.key, nil, "expected a value")
	case !f.within():
		found.add(f.key, value, "expected %s to %s", f.tag.Get("min"), f.tag.Get("max"))
	case f.tag.Get("oneof") != "" && !slices.Contains(f.words(), text):
		found.add(f.key, value, "expected %s", strings.Join(f.words(), " or "))
	case text != "":
		f.checkKind(found, text)
	}
}

func (f field) words() []string { return strings.Split(f.tag.Get("oneof"), ",") }

// within compares a number, a duration or a size with the tags min and max.
func (f field) within() bool {
	low, high := f.tag.Get("min"), f.tag.Get("max")
	if low == "" {
		return true
	}
	n := f.value.Int()
	return n >= f.bound(low) && n <= f.bound(high)
}

// bound reads a limit of a tag, in the unit of the field. The tags are ours: a test reads them all.
func (f field) bound(text string) int64 {
	switch f.value.Type() {
	case durationType:
		d, _ := timespec.Duration(text)
		return int64(d)
	case sizeType:
		s, _ := ParseSize(text)
		return int64(s)
	}
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

func (f field) checkKind(found *problems, text string) {
	switch f.tag.Get("kind") {
	case "address":
		if !IsAddress(text) {
			found.add(f.key, text, "expected host:port, such as 127.0.0.1:7070, or unix:/path/to.sock")
		}
	case "url":
		checkURL(found, f.key, text)
	case "file":
		checkFile(found, f.key, text)
	case "servers":
		checkServers(found, f.key, text)
	case "origins":
		checkOrigins(found, f.key, text)
	case "hosts":
		checkHosts(found, f.key, text)
	case "networks":
		checkNetworks(found, f.key, text)
	case "proxied":
		checkProxied(found, f.key, text)
	case "monitors":
		for address := range strings.SplitSeq(text, ",") {
			checkURL(found, f.key, strings.TrimSpace(address))
		}
	case "subject":
		if !subject.MatchString(text) {
			found.add(f.key, text, "expected a subject that ends in .* or .>, such as usage.>")
		}
	case "inboxes":
		checkInboxes(found, f.key, text)
	case "name":
		if !name.MatchString(text) {
			found.add(f.key, text, "expected a name of letters, digits, - and _")
		}
	}
}

// maxSocketPath is the longest path of a unix socket on Linux, in bytes (sun_path, less its last zero).
const maxSocketPath = 107

// IsAddress reports whether s is host:port or unix:/path, without looking whether it can be bound.
func IsAddress(s string) bool {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		return path != "" && len(path) <= maxSocketPath && !strings.ContainsRune(path, 0)
	}
	host, port, err := net.SplitHostPort(s)
	n, portErr := strconv.ParseUint(port, 10, 16)
	return err == nil && portErr == nil && n <= 65535 && !strings.ContainsAny(host, " /")
}

// checkURL repeats an address only when it parsed and holds no password.
func checkURL(found *problems, key, text string) {
	const expected = "expected an address such as https://su1.3scale.net, without user, query or fragment"
	u, err := url.Parse(text)
	switch {
	case err != nil:
		found.add(key, nil, expected)
	case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		found.add(key, u.Redacted(), expected)
	}
}

func checkFile(found *problems, key, name string) {
	f, err := os.Open(name)
	if err != nil {
		found.await(key, name, "expected a readable file: %s", cause(err))
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		found.add(key, name, "expected a file")
	}
}
