package config

import (
	"net/netip"
	"slices"
)

// check wants proxies where something is taken from them.
func (p Proxies) check(found *problems) {
	if p.Trusted != "" {
		return
	}
	if p.Protocol != "" {
		found.add("proxies.trusted", nil, "expected the proxies' addresses, since proxies.protocol is set")
	}
	if p.AddressHeader != "" {
		found.add("proxies.trusted", nil, "expected the proxies' addresses, since proxies.address_header is set")
	}
}

// checkNetworks refuses what is neither an address nor a network.
func checkNetworks(found *problems, key, text string) {
	for _, word := range words(text) {
		_, badPrefix := netip.ParsePrefix(word)
		address, bad := netip.ParseAddr(word)
		if word != "unix" && badPrefix != nil && (bad != nil || address.Zone() != "") {
			found.add(key, text, "expected addresses and networks such as 10.0.0.7 or 10.0.0.0/8, or unix, separated by commas")
			return
		}
	}
}

// checkProxied refuses what is no listener of those behind proxies.
func checkProxied(found *problems, key, text string) {
	for _, word := range words(text) {
		if !slices.Contains([]string{"traffic", "admin", "gate"}, word) {
			found.add(key, text, "expected traffic, admin or gate, separated by commas")
			return
		}
	}
}
