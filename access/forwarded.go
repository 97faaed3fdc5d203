package access

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
)

// Forwarded takes the address of a request's caller from a header field of trusted proxies.
type Forwarded struct {
	Trusted    *Networks
	Field      string // canonical: X-Forwarded-For, X-Real-Ip; empty: requests keep the address of their connection
	PerAddress int    // requests under way of one address that was taken from the field; 0: no bound
}

// Wrap returns a handler that gives next requests with the caller's address in RemoteAddr, without a port, and refuses with 429 what
// one address has under way beyond PerAddress. It starts no goroutine.
//
// A field is read from its end, where the proxy that is nearest has written: the first address that is not trusted is the caller's.
// What a caller wrote stands before it and is not read. What is no address ends the search, and the address before it counts.
func (f Forwarded) Wrap(next http.Handler) http.Handler {
	if f.Trusted == nil || f.Field == "" {
		return next
	}
	under := &addressCounts{most: f.PerAddress, counts: map[string]int{}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address, ok := f.caller(r)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		if !under.add(address) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests of one address at once", http.StatusTooManyRequests)
			return
		}
		defer under.remove(address)
		r.RemoteAddr = address
		next.ServeHTTP(w, r)
	})
}

// caller returns the address that the field has for a request; false: its peer is not trusted, or the field has none.
func (f Forwarded) caller(r *http.Request) (string, bool) {
	if !f.Trusted.Has(peerOf(r)) {
		return "", false
	}
	var found netip.Addr
	lines := r.Header[f.Field]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var part string
			if at := strings.LastIndexByte(rest, ','); at >= 0 {
				rest, part = rest[:at], rest[at+1:]
			} else {
				part, more = rest, false
			}
			address, ok := forwardedAddress(strings.TrimSpace(part))
			if !ok {
				return found.String(), found.IsValid()
			}
			if found = address; !f.Trusted.hasIP(address) {
				return found.String(), true
			}
		}
	}
	return found.String(), found.IsValid()
}

// proxyFields are header fields that proxies add.
var proxyFields = []string{"Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip"}

// PassedOn reports whether a request shows that a proxy passed it on: by a field that proxies add, by HTTP/1.0, which nginx below 1.29.7
// speaks by default, or by the order of a page that the browser did not load under a name of this machine.
func PassedOn(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) {
		return true
	}
	for _, field := range proxyFields {
		if len(r.Header[field]) > 0 {
			return true
		}
	}
	origin := r.Header.Get("Origin")
	if Reads(r) || origin == "" {
		return false
	}
	page, err := url.Parse(origin)
	return err != nil || !Loopback(page.Host)
}

// Reads reports whether a request changes nothing.
func Reads(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
}

// peerOf is the peer of a request's connection. A unix socket has no address of its peer.
func peerOf(r *http.Request) net.Addr {
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return net.TCPAddrFromAddrPort(at)
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if _, unix := local.(*net.UnixAddr); !unix {
		return nil
	}
	return local
}

// forwardedAddress reads an address with or without a port, an IPv6 one with or without brackets.
func forwardedAddress(text string) (netip.Addr, bool) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr().Unmap().WithZone(""), true
	}
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return address.Unmap().WithZone(""), err == nil
}

// addressCounts counts the requests under way of each address.
type addressCounts struct {
	most int // 0: no bound

	mu     sync.Mutex     // guards what follows
	counts map[string]int // no entry: none
}

func (c *addressCounts) add(address string) bool {
	if c.most == 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts[address] >= c.most {
		return false
	}
	c.counts[address]++
	return true
}

func (c *addressCounts) remove(address string) {
	if c.most == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts[address]--; c.counts[address] == 0 {
		delete(c.counts, address)
	}
}
