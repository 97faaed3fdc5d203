package config

import (
	"net/url"
	"regexp"
	"strings"
)

var (
	// subject is a pattern of NATS whose last token stands for the service id.
	subject = regexp.MustCompile(`^(\*|[^\s.*>]+)(\.(\*|[^\s.*>]+))*\.[*>]$`)

	// name is what a stream or a consumer may be called everywhere: it names files, too.
	name = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// check holds the keys of nats against each other.
func (n *NATS) check(found *problems) {
	if n.Embedded && strings.HasPrefix(n.Listen, "unix:") {
		found.add("nats.listen", n.Listen, "expected host:port: the NATS server listens on TCP only")
	}
	if n.Embedded && n.URL != "" {
		found.add("nats.url", nil, "cannot be given with nats.embedded, which is a server of its own")
	}
	if n.AuthorizeSubject == n.Subject || n.AuthrepSubject == n.Subject || n.AuthorizeSubject != "" && n.AuthorizeSubject == n.AuthrepSubject {
		found.add("nats.subject", n.Subject, "expected three different subjects: subject, authorize_subject, authrep_subject")
	}
	if (n.CertFile == "") != (n.KeyFile == "") {
		found.add("nats", nil, "expected cert_file and key_file together")
	}
	var ways []string
	for _, w := range []struct{ key, value string }{{"credentials_file", n.CredentialsFile}, {"nkey_file", n.NKeyFile}, {"user", n.User}} {
		if w.value != "" {
			ways = append(ways, w.key)
		}
	}
	if len(ways) > 1 {
		found.add("nats", nil, "expected at most one of credentials_file, nkey_file, user: got %s", strings.Join(ways, " and "))
	}
	if n.Embedded && len(ways) > 0 {
		found.add("nats."+ways[0], nil, "cannot be given with nats.embedded, whose server admits the daemon by itself")
	}
	if n.Password != "" && n.PasswordFile != "" {
		found.add("nats.password", nil, "expected either this or nats.password_file")
	}
	if n.User == "" && (n.Password != "" || n.PasswordFile != "") {
		found.add("nats.user", nil, "expected a value beside the password")
	}
}

// Inboxes are the prefixes of reply subjects, one by one.
func (n *NATS) Inboxes() []string {
	all := strings.Split(n.InboxPrefixes, ",")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}

// inbox is a prefix of subjects: tokens without wildcards.
var inbox = regexp.MustCompile(`^[^\s.*>$]+(\.[^\s.*>]+)*$`)

// checkInboxes refuses what is no prefix, and $JS and $SYS, where the servers listen.
func checkInboxes(found *problems, key, text string) {
	for prefix := range strings.SplitSeq(text, ",") {
		if !inbox.MatchString(strings.TrimSpace(prefix)) {
			found.add(key, text, "expected prefixes of reply subjects such as _INBOX, separated by commas, without wildcards and $")
			return
		}
	}
}

// checkReplies keeps answers away from the subjects that the daemon itself listens to.
func (n *NATS) checkReplies(found *problems, cluster string) {
	for _, prefix := range n.Inboxes() {
		first, _, _ := strings.Cut(prefix, ".")
		for key, taken := range map[string]string{
			"nats.subject": n.Subject, "nats.authorize_subject": n.AuthorizeSubject, "nats.authrep_subject": n.AuthrepSubject, "cluster.prefix": cluster,
		} {
			if token, _, _ := strings.Cut(taken, "."); token != "" && (token == first || token == "*") {
				found.add("nats.inbox_prefixes", n.InboxPrefixes, "expected prefixes that do not begin as %s does", key)
				return
			}
		}
	}
}

// resolve reads the password, where it stands in a file.
func (n *NATS) resolve(found *problems) {
	if n.PasswordFile == "" || found.has("nats.password_file") || found.has("nats.password") {
		return
	}
	secret, reason := readSecretFile(n.PasswordFile)
	if reason != "" {
		found.await("nats.password_file", n.PasswordFile, "%s", reason)
	}
	n.Password = Secret(secret)
}

// checkServers repeats addresses only when they parsed and hold no password.
func checkServers(found *problems, key, text string) {
	const expected = "expected addresses such as nats://127.0.0.1:4222, separated by commas; a user has a key of its own"
	for server := range strings.SplitSeq(text, ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		if err != nil || u.User != nil {
			found.add(key, nil, expected)
			return
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			found.add(key, text, expected)
			return
		}
		if u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			found.add(key, text, expected)
			return
		}
	}
}
