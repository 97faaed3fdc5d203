package gate

import (
	"cmp"
	"fmt"
	"maps"
	"mime"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/portal"
)

// FromPortal makes a service of its gateway's configuration at 3scale, as APIcast reads it. What cannot be taken over is left out and
// stands in faults, a line each; with a service that cannot be answered for, the service is nil.
func FromPortal(id string, c *portal.ProxyConfig) (s *Service, faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	s = &Service{ID: id, Origin: fmt.Sprintf("version %d of the portal", c.Version), Refusals: map[Reason]Refusal{}}
	p := &c.Proxy
	for _, host := range p.Hosts {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if host = strings.ToLower(host); host != "" {
			s.Hosts = append(s.Hosts, host)
		}
	}
	if len(s.Hosts) == 0 {
		fault("it has no hosts")
		return nil, faults
	}
	switch s.Credentials = (Credentials{In: cmp.Or(p.CredentialsLocation, inQuery)}); c.BackendVersion {
	case "1":
		s.Credentials.UserKey = cmp.Or(p.AuthUserKey, "user_key")
	case "2":
		s.Credentials.AppID, s.Credentials.AppKey = cmp.Or(p.AuthAppID, "app_id"), cmp.Or(p.AuthAppKey, "app_key")
	default:
		fault("backend_version %q: only user keys (1) and application ids (2) can be answered for", c.BackendVersion)
		return nil, faults
	}
	if !slices.Contains([]string{inQuery, inHeaders, inAuthorization}, s.Credentials.In) {
		fault("credentials_location %q is none of query, headers, authorization", s.Credentials.In)
		return nil, faults
	}
	s.refuse3scale(p)
	rules := slices.Clone(p.Rules)
	slices.SortStableFunc(rules, func(a, b portal.ProxyRule) int {
		return cmp.Compare(number(a.Position.String()), number(b.Position.String()))
	})
	for i := range rules {
		r, problem := fromRule(&rules[i])
		if problem != "" {
			fault("rule %s %s is left out: %s", rules[i].Method, rules[i].Pattern, problem)
			continue
		}
		s.Rules = append(s.Rules, r)
	}
	s.rules = newRuleSet(s.Rules)
	return s, faults
}

func number(text string) uint64 {
	n, _ := strconv.ParseUint(text, 10, 64) // what is none counts as missing
	return n
}

// fromRule makes a rule of a mapping rule. As APIcast does, it takes the query from the parameters and not from the pattern.
func fromRule(from *portal.ProxyRule) (r *Rule, problem string) {
	delta, err := strconv.ParseUint(from.Delta.String(), 10, 64)
	if err != nil || delta > threescale.MaxValue {
		return nil, "its delta is no number that 3scale counts"
	}
	if from.Metric == "" || threescale.TooLong(from.Metric) {
		return nil, "it has no metric"
	}
	path, _, _ := strings.Cut(from.Pattern, "?")
	r = &Rule{Method: strings.ToUpper(from.Method), Pattern: path, Metric: from.Metric, Delta: delta, Last: from.Last}
	if r.Method == "ANY" {
		r.Method = ""
	}
	if problem = r.compile(); problem != "" {
		return nil, problem
	}
	r.Pattern = from.Pattern
	for _, name := range slices.Sorted(maps.Keys(from.Params)) {
		value := from.Params[name]
		r.params = append(r.params, param{name, value, strings.HasPrefix(value, "{") && strings.HasSuffix(value, "}")})
	}
	return r, ""
}

// refuse3scale takes over the error statuses and texts.
func (s *Service) refuse3scale(p *portal.Proxy) {
	for why, from := range map[Reason]struct {
		status     portal.Text
		kind, text string
	}{
		Missing:  {p.StatusAuthMissing, p.TypeAuthMissing, p.TextAuthMissing},
		Failed:   {p.StatusAuthFailed, p.TypeAuthFailed, p.TextAuthFailed},
		NoMatch:  {p.StatusNoMatch, p.TypeNoMatch, p.TextNoMatch},
		Exceeded: {p.StatusLimitsExceeded, p.TypeLimitsExceeded, p.TextLimitsExceeded},
	} {
		r := Refusal{Status: from.status.Status(), Text: strings.Join(strings.Fields(from.text), " ")}
		if r.Status < 400 || r.Status > 499 {
			r.Status = 0
		}
		if kind, params, err := mime.ParseMediaType(from.kind); err == nil {
			r.Type = mime.FormatMediaType(kind, params) // from.kind may end in a line break
		}
		s.Refusals[why] = r
	}
}
