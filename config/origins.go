package config

import (
	"net/url"
	"strings"
)

// Origins are the pages that may read answers made for dashboards.
func (a Admin) Origins() (all []string) {
	for origin := range strings.SplitSeq(a.CORSOrigins, ",") {
		if origin = strings.TrimSpace(origin); origin != "" {
			all = append(all, origin)
		}
	}
	return all
}

// checkOrigins refuses what no browser would ever send as an origin: it would let nobody in, in silence.
func checkOrigins(found *problems, key, text string) {
	for _, origin := range (Admin{CORSOrigins: text}).Origins() {
		u, err := url.Parse(origin)
		if origin == "*" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.Scheme+"://"+u.Host == origin {
			continue
		}
		found.add(key, text, "expected origins such as https://dashboards.example.com, separated by commas, or *")
		return
	}
}
