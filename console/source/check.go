package source

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/reporterd/reporterd/internal/suggest"
	"github.com/reporterd/reporterd/internal/timespec"
)

// check holds the fields against each other, and fills in defaults. n is the source, at are the fields that are given.
func (p *parser) check(s *Source, n *yaml.Node, at map[string]*yaml.Node) {
	where := func(key string) *yaml.Node {
		if at[key] != nil {
			return at[key]
		}
		return n
	}
	if !namePattern.MatchString(s.Name) {
		p.wrong(where("name"), "name", "%q: expected 1 to 63 lower-case letters, digits, - and _", s.Name)
	}
	if !slices.Contains([]string{shapeRows, shapeOriginal}, s.Shape) {
		p.wrong(where("shape"), "shape", "%q: expected rows or original", s.Shape)
	}
	switch {
	case s.Question != "" && s.Path != "":
		p.wrong(where("path"), "path", "expected a question or a path, not both")
	case s.Path != "":
		p.checkPath(s, where, at)
	case s.Question == "":
		p.wrong(n, "question", "expected one of %s; or a path", strings.Join(Questions(), ", "))
	default:
		p.checkQuestion(s, where, at)
	}
	p.checkRange(s, where, at)
	least := leastRefresh
	if s.asksPortal() {
		least = leastPortal
	}
	if (s.Refresh < least || s.Refresh > mostRefresh) && !p.has("refresh") {
		p.wrong(where("refresh"), "refresh", "%v: expected %v to %v", s.Refresh, least, mostRefresh)
	}
}

// has reports whether a field of this source has a problem already.
func (p *parser) has(field string) bool {
	return slices.ContainsFunc(p.problems, func(q *Problem) bool { return q.Field == p.prefix+field })
}

func (p *parser) checkQuestion(s *Source, where func(string) *yaml.Node, at map[string]*yaml.Node) {
	q, known := catalogue[s.Question]
	if !known {
		p.wrong(where("question"), "question", "%q: expected one of %s%s", s.Question, strings.Join(Questions(), ", "), suggest.Hint(s.Question, Questions()))
		return
	}
	for _, key := range q.needs {
		if at[key] == nil || at[key].Value == "" {
			p.wrong(where(key), key, "expected a value, since the question is %s", s.Question)
		}
	}
	takes := append(slices.Concat(q.needs, q.takes), "name", "question", "from", "shape", "columns", "refresh", "token_sha256")
	for _, key := range keys {
		if at[key] != nil && !slices.Contains(takes, key) {
			p.wrong(at[key], key, "is not used by the question %s", s.Question)
		}
	}
	p.checkFrom(s, where, q.from)
	if s.Shape == shapeOriginal && (q.path == "" || s.From == Both) {
		p.wrong(where("shape"), "shape", "original: expected rows, since the answer is not one answer of the API")
	}
	if slices.Contains(q.takes, "limit") && s.Limit == 0 {
		s.Limit = defaultLimit
	}
	if slices.Contains(q.takes, "since") && s.Since == "" && s.Question != "reconciliation" {
		s.Since = defaultSince
	}
	if slices.Contains(q.takes, "by") && s.By == "" {
		s.By = "day"
	}
}

func (p *parser) checkFrom(s *Source, where func(string) *yaml.Node, from []From) {
	if s.From == "" {
		s.From = from[0]
	}
	if !slices.Contains(from, s.From) {
		words := make([]string, len(from))
		for i, f := range from {
			words[i] = string(f)
		}
		p.wrong(where("from"), "from", "%q: expected %s", s.From, strings.Join(words, " or "))
	}
}

// secretWord is a part of a name that stands for a credential.
var secretWord = regexp.MustCompile(`(?i)(^|[_\-/.])(keys?|secrets?|tokens?|passwords?)($|[_\-/.])`)

// checkPath accepts a GET of both APIs. A token in it would be sent where it does not belong, and kept in the file.
func (p *parser) checkPath(s *Source, where func(string) *yaml.Node, at map[string]*yaml.Node) {
	for _, key := range []string{"service", "application", "metric", "since", "until", "by", "limit"} {
		if at[key] != nil {
			p.wrong(at[key], key, "is not used with path: write it into the query")
		}
	}
	p.checkFrom(s, where, []From{Ledger, ThreeScale, Both})
	if s.Shape == shapeOriginal && s.From == Both {
		p.wrong(where("shape"), "shape", "original: expected rows, since two answers are compared")
	}
	expanded, err := timespec.Expand(s.Path, time.Now(), s.zone)
	if err != nil {
		p.wrong(where("path"), "path", "%s", strings.TrimPrefix(err.Error(), "timespec: "))
		return
	}
	path, q, err := queryOf(expanded)
	switch {
	case err != nil:
		p.wrong(where("path"), "path", "expected a query of name=value pairs")
	case !strings.HasPrefix(path, "/stats/") && !strings.HasPrefix(path, "/admin/api/"), strings.Contains(path, ".."), strings.Contains(path, "#"):
		p.wrong(where("path"), "path", "%q: expected a path of 3scale's APIs, such as /stats/services/1001/usage.json or /admin/api/services.json", path)
	case !strings.HasSuffix(path, ".json"):
		p.wrong(where("path"), "path", "%q: expected the extension .json", path)
	case secretWord.MatchString(strings.TrimSuffix(path, ".json")):
		p.wrong(where("path"), "path", "%q: credentials are not served", path)
	}
	for name := range q {
		if name == "access_token" || name == "provider_key" {
			p.wrong(where("path"), "path", "%s: expected no credentials: the portal's token is in portal.access_token_file", name)
		}
	}
}

// checkRange evaluates since and until as of now, so that a wrong one is found when the file is read.
func (p *parser) checkRange(s *Source, where func(string) *yaml.Node, at map[string]*yaml.Node) {
	if s.By != "" && !slices.Contains([]string{"hour", "day", "month"}, s.By) {
		p.wrong(where("by"), "by", "%q: expected hour, day or month", s.By)
		return
	}
	for _, key := range []string{"since", "until"} {
		if at[key] == nil {
			continue
		}
		if _, err := timespec.At(at[key].Value, time.Now(), s.zone); err != nil {
			p.wrong(at[key], key, "%s", strings.TrimPrefix(err.Error(), "timespec: "))
			return
		}
	}
	if s.By == "" || p.has("since") || p.has("until") {
		return
	}
	if _, err := s.span(time.Now()); err != nil {
		p.wrong(where("since"), "since", "%s", strings.TrimPrefix(err.Error(), "source: "))
	}
}

// String returns what the source asks, for people.
func (s *Source) String() string {
	if s.Path != "" {
		return s.Path
	}
	text := s.Question
	for _, part := range []struct{ name, value string }{{"service", s.Service}, {"application", s.Application}, {"metric", s.Metric}} {
		if part.value != "" {
			text += fmt.Sprintf(" %s=%s", part.name, part.value)
		}
	}
	return text
}
