package gate

import (
	"fmt"
	"maps"
	"slices"
)

// Service is one API whose calls are asked about.
type Service struct {
	ID          string
	Hosts       []string // in lower case, without ports; empty: every host that no other service names
	Credentials Credentials
	Rules       []*Rule
	rules       *ruleSet           // Rules
	Origin      string             // where it was read, for people
	Refusals    map[Reason]Refusal // what callers are told instead of the usual words
}

// Reason is why a call does not pass, as far as its caller is told.
type Reason string

// The reasons, by the names that a file has for them.
const (
	Missing  Reason = "auth_missing"    // no credentials
	Failed   Reason = "auth_failed"     // credentials that 3scale does not know or refuses
	NoMatch  Reason = "no_match"        // no rule is about the call
	Exceeded Reason = "limits_exceeded" // a limit of the application
)

// Refusal is a status and a text.
type Refusal struct {
	Status int
	Text   string // one line
	Type   string // the media type of Text; empty: plain text
}

// usual is what callers are told unless their service says something else.
var usual = map[Reason]Refusal{
	Missing:  {Status: 401, Text: "credentials are missing"},
	Failed:   {Status: 403, Text: "credentials are not accepted"},
	NoMatch:  {Status: 404, Text: "there is no such call"},
	Exceeded: {Status: 429, Text: "usage limits are exceeded"},
}

// refusal returns what a service says for a reason.
func (s *Service) refusal(why Reason) Refusal {
	refusal := usual[why]
	own := s.Refusals[why]
	if own.Status != 0 {
		refusal.Status = own.Status
	}
	if own.Text != "" {
		refusal.Text, refusal.Type = own.Text, own.Type
	}
	return refusal
}

// Services are those of a file, or of a file and the portal. They do not change.
type Services struct {
	all     []*Service
	byHost  map[string]*Service
	rest    *Service // for every other host; nil: there is none
	missing bool     // of some services nothing is known yet, so that another host may be one of theirs
}

// With returns the services and more of them, from the portal. A service and a host that are there already stay as they are; what is
// left out for that stands in faults. complete is false when some services of the portal are not known yet.
func (s *Services) With(more []*Service, complete bool) (all *Services, faults []string) {
	all = &Services{all: slices.Clone(s.all), byHost: maps.Clone(s.byHost), rest: s.rest, missing: !complete}
	if all.byHost == nil {
		all.byHost = map[string]*Service{}
	}
	for _, one := range more {
		if slices.ContainsFunc(s.all, func(other *Service) bool { return other.ID == one.ID }) {
			continue
		}
		for _, host := range one.Hosts {
			if other := all.byHost[host]; other != nil && other != one {
				faults = append(faults, fmt.Sprintf("host %s of service %s is left out: service %s has it", host, one.ID, other.ID))
				continue
			}
			all.byHost[host] = one
		}
		all.all = append(all.all, one)
	}
	return all, faults
}

// All returns the services in the order of their file.
func (s *Services) All() []*Service { return s.all }

// of returns the service of a host, or nil.
func (s *Services) of(host string) *Service {
	if found := s.byHost[host]; found != nil {
		return found
	}
	return s.rest
}

// Trial is what a file says of one call.
type Trial struct {
	Service *Service
	Path    string // as the rules see it
	Matched []*Rule
	Usage   []string // METRIC=VALUE
	Why     string   // why the call is refused before anything is asked; empty: it is not
}
