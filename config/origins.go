package config

import (
	"net/url"
	"strings"
)

// Origins are the pages that may read answers made for dashboards.
func (a Admin) Origins() []string { return words(a.CORSOrigins) }

// HostNames are the names in Hosts, one by one.
func (a Admin) HostNames() []string { return words(a.Hosts) }

// words are the words of a list that commas separate.
func words(text string) (all []string) {
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			all = append(all, word)
		}
	}
	return all
}

// checkHosts refuses what is never the name in a request: with a scheme, a port or a wildcard it would match nothing.
func checkHosts(found *problems, key, text string) {
	for _, host := range (Admin{Hosts: text}).HostNames() {
		if strings.ContainsAny(host, ":/*@ ") {
			found.add(key, text, "expected names without scheme and port, such as reporterd.example.com, separated by commas")
			return
		}
	}
}

// checkOrigins refuses a value that no browser sends as an origin: it would never match, without an error.
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
