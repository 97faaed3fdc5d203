package nats

import (
	"fmt"
	"strings"
)

// Subject is a pattern whose last token, * or >, stands for the service id.
type Subject struct {
	pattern string
	before  int // number of tokens in front of the id
}

// ParseSubject reads a pattern such as usage.> or acme.*.usage.*.
func ParseSubject(pattern string) (Subject, error) {
	tokens := strings.Split(pattern, ".")
	last := len(tokens) - 1
	for i, t := range tokens {
		if t == "" || strings.ContainsAny(t, " \t\r\n") || (t == ">" && i != last) || (len(t) > 1 && strings.ContainsAny(t, "*>")) {
			return Subject{}, fmt.Errorf("%q: expected a subject such as usage.>", pattern)
		}
	}
	if last == 0 || (tokens[last] != "*" && tokens[last] != ">") {
		return Subject{}, fmt.Errorf("%q: expected a subject that ends in .* or .>, which stands for the service id", pattern)
	}
	return Subject{pattern: pattern, before: last}, nil
}

// String returns the pattern.
func (s Subject) String() string { return s.pattern }

// service is the service id in a subject that matches; an id may have dots.
func (s Subject) service(subject string) string {
	for range s.before {
		_, rest, found := strings.Cut(subject, ".")
		if !found {
			return ""
		}
		subject = rest
	}
	return subject
}
