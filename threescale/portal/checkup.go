package portal

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxSkew is how far clocks may be apart before it is worth a word.
const maxSkew = 30 * time.Second

// Finding is one thing that was looked at.
type Finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`           // what was found
	Advice string `json:"advice,omitempty"` // what to do about it
}

// CheckUp looks at what the daemon needs of the portal: reach and host, both scopes of the token, the configured
// services, and the clock. What cannot be looked at any more is left out. services are the configured ids.
func (c *Client) CheckUp(ctx context.Context, services []string) []Finding {
	var all []Finding
	add := func(f Finding) bool { all = append(all, f); return f.OK }
	var page map[string]any
	err := c.get(ctx, "/admin/api/services.json", url.Values{"per_page": {"1"}}, &page)
	scoped := FaultOf(err) == FaultScope
	if scoped {
		add(Finding{Name: "portal", OK: true, Detail: c.options.URL + " is an admin portal and knows the token"})
		add(Finding{Name: "account_management", Detail: Because(err), Advice: "give the token the scope Account Management API (read only is enough), or its owner the right to see partners"})
	} else if !add(finding("portal", err, c.options.URL+" is an admin portal and knows the token")) {
		return all
	} else {
		add(Finding{Name: "account_management", OK: true, Detail: "the token may read services and applications"})
	}
	visible, err := []Service(nil), error(nil)
	if !scoped {
		if visible, err = c.Services(ctx); err != nil {
			add(finding("services", err, ""))
			return all
		}
		add(missing(visible, services))
	}
	if id := one(visible, services); id != "" {
		hour := time.Now().UTC().Truncate(time.Hour)
		_, err := c.Usage(ctx, Question{ServiceID: id, Metric: "hits", Since: hour, Until: hour.Add(time.Hour)})
		f := finding("stats", err, "the token may read what was counted")
		if FaultOf(err) == FaultScope {
			f.Advice = "give the token the scope Analytics API (read only is enough), or its owner the right to monitor"
		}
		add(f)
	}
	clock := Finding{Name: "clock", OK: true, Detail: "its clock and ours agree"}
	if s := c.Skew(); s.Abs() > maxSkew {
		clock.OK, clock.Detail = false, fmt.Sprintf("its clock is %s ahead of ours", s.Round(time.Second))
		clock.Advice = "set this machine's clock: usage is counted in the hour of its timestamp"
	}
	add(clock)
	return all
}

// one is a service to ask about: a configured one that is seen, else any.
func one(visible []Service, services []string) string {
	for _, s := range visible {
		if slices.Contains(services, s.ServiceID()) {
			return s.ServiceID()
		}
	}
	if len(visible) > 0 {
		return visible[0].ServiceID()
	}
	if len(services) > 0 {
		return services[0]
	}
	return ""
}

func missing(visible []Service, services []string) Finding {
	var gone []string
	for _, id := range services {
		if !slices.ContainsFunc(visible, func(s Service) bool { return s.ServiceID() == id }) {
			gone = append(gone, id)
		}
	}
	if len(gone) > 0 {
		return Finding{
			Name: "services", Detail: "it does not show " + strings.Join(gone, ", ") + ", which the configuration names",
			Advice: "the token's owner may see other services only, or they belong to another portal",
		}
	}
	return Finding{Name: "services", OK: true, Detail: fmt.Sprintf("%d visible, all configured ones among them", len(visible))}
}

func finding(name string, err error, fine string) Finding {
	if err == nil {
		return Finding{Name: name, OK: true, Detail: fine}
	}
	return Finding{Name: name, Detail: Because(err), Advice: advice[FaultOf(err)]}
}

// Because is an error in a sentence, without the package's name.
func Because(err error) string { return strings.TrimPrefix(err.Error(), "portal: ") }

// advice is what to do about a fault.
var advice = map[Fault]string{
	FaultName:       "portal.url is misspelt, or this machine's resolver does not know it",
	FaultReach:      "is a proxy or firewall between? The portal's host is not the backend's",
	FaultTLS:        "a private certificate authority needs portal.ca_file; otherwise another server answers for this name",
	FaultTime:       "it is slow or something swallows the connection",
	FaultHost:       "portal.url must be the admin portal: for the hosted service <name>-admin.3scale.net. The developer portal and the backend do not have this API",
	FaultToken:      "the token is misspelt, expired, of another portal, or a provider key or service token: make one in the portal under Account Settings, Tokens",
	FaultScope:      "give the token the missing scope, or its owner the missing right",
	FaultSuspended:  "the account is suspended or not approved yet",
	FaultNotFound:   "the token's owner may not see it, or it was deleted",
	FaultRate:       "ask less often: portal.per_second",
	FaultServer:     "try again later",
	FaultUnexpected: "it may be a proxy, or a version of 3scale that is not known here",
}
