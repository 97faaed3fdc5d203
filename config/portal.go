package config

import "strings"

// resolve leaves the access token in AccessToken, wherever it stood: also in the address, as 3scale's toolbox has it.
func (p *Portal) resolve(found *problems) {
	if scheme, rest, ok := strings.Cut(p.URL, "://"); ok {
		authority, path, _ := strings.Cut(rest, "/")
		if at := strings.LastIndex(authority, "@"); at >= 0 {
			user, password, _ := strings.Cut(authority[:at], ":")
			p.URL = scheme + "://" + strings.TrimSuffix(authority[at+1:]+"/"+path, "/")
			if p.AccessToken == "" && p.AccessTokenFile == "" {
				p.AccessToken = Secret(user + password)
			}
		}
	}
	if strings.ContainsAny(p.URL, "?#") {
		found.add("portal.url", nil, "expected the address of the admin portal alone, without a query")
		p.URL = ""
	}
	switch {
	case p.AccessTokenFile != "" && p.AccessToken != "":
		found.add("portal.access_token_file", p.AccessTokenFile, "expected one of access_token and access_token_file")
	case found.has("portal.access_token_file"):
		return
	case p.AccessTokenFile != "":
		secret, reason := readSecretFile(p.AccessTokenFile)
		if reason == "" && !isSecret(secret) {
			reason = "expected one line"
		}
		if reason != "" {
			found.await("portal.access_token_file", p.AccessTokenFile, "%s", reason)
			return
		}
		p.AccessToken = Secret(secret)
	}
	if p.URL != "" && p.AccessToken == "" && !found.has("portal.access_token_file") {
		found.add("portal.access_token_file", nil, "expected a file that holds an access token of portal.url")
	}
}

// Complete checks a portal that was not loaded with the rest, and reads its token.
func (p Portal) Complete() (Portal, error) {
	found := &problems{origins: map[string]string{}}
	p.resolve(found)
	return p, found.err()
}
