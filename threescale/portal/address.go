package portal

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

const (
	hosted = ".3scale.net"
	admin  = "-admin"
)

// Address makes a base URL of what people write for their portal: acme, acme-admin, acme-admin.3scale.net, a URL with or
// without a trailing slash, and the toolbox's https://TOKEN@host. token is the one of that form. Of the hosted service
// the developer portal is turned into the admin portal, since a token is good there alone.
func Address(text string) (base, token string, err error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", "", errors.New("is empty: expected the admin portal, such as acme-admin.3scale.net")
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		var bad *url.Error // its text would repeat what may hold a token
		if errors.As(err, &bad) {
			err = bad.Err
		}
		return "", "", fmt.Errorf("is no address: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", "", errors.New("is no address: expected the admin portal, such as acme-admin.3scale.net or https://3scale-admin.example.com")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return "", "", errors.New("has a query: expected the address of the admin portal alone")
	}
	if u.User != nil {
		token = u.User.Username()
		if password, _ := u.User.Password(); token == "" {
			token = password
		}
	}
	host := u.Host
	if name := u.Hostname(); !strings.Contains(name, ".") && name != "localhost" && !strings.Contains(name, ":") {
		host = strings.TrimSuffix(name, admin) + admin + hosted
	} else if label, ok := strings.CutSuffix(strings.ToLower(name), hosted); ok && !strings.Contains(label, ".") && !strings.HasSuffix(label, admin) {
		host = label + admin + hosted
	}
	return u.Scheme + "://" + host + strings.TrimRight(u.EscapedPath(), "/"), token, nil
}
