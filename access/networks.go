package access

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Networks are addresses: single ones, networks, and perhaps the peers of unix sockets. They do not change. A nil *Networks has none.
type Networks struct {
	prefixes []netip.Prefix
	unix     bool
}

// ParseNetworks reads addresses and networks, separated by commas: 10.0.0.7, fd00::/8, or the word unix for what connects to a
// unix socket. For an empty text it returns nil.
func ParseNetworks(text string) (*Networks, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	n := &Networks{}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "unix" {
			n.unix = true
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			address, err := netip.ParseAddr(part)
			if err != nil || address.Zone() != "" {
				return nil, fmt.Errorf("access: %q is no address, no network and not the word unix", part)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		n.prefixes = append(n.prefixes, prefix.Masked())
	}
	return n, nil
}

// Has reports whether a peer is among them.
func (n *Networks) Has(peer net.Addr) bool {
	if n == nil {
		return false
	}
	switch peer := peer.(type) {
	case *net.TCPAddr:
		return n.hasIP(peer.AddrPort().Addr())
	case *net.UnixAddr:
		return n.unix
	}
	return false
}

// hasIP reports whether an address is among them.
func (n *Networks) hasIP(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	for _, prefix := range n.prefixes {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}
