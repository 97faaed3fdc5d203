package gate

import (
	"iter"
	"strings"

	"github.com/reporterd/reporterd/threescale"
)

// Rule turns requests into usage, as a mapping rule of 3scale does.
type Rule struct {
	Method  string // in capitals; empty: every one
	Pattern string // as written: /a/{b}/c?format=json
	Metric  string
	Delta   uint64
	Last    bool // no rule after this one is looked at if it matches

	path   []piece
	whole  bool // the pattern ends with $: the path ends there, too
	params []param
}

// piece is a part of a pattern's path: text, or one segment of any text.
type piece struct {
	text string
	any  bool // {name}: at least one character, no slash
}

// param is a query parameter that a rule wants.
type param struct {
	name, value string
	any         bool // of any value
}

// compile reads the pattern.
func (r *Rule) compile() (fault string) {
	text, query, _ := strings.Cut(r.Pattern, "?")
	if !strings.HasPrefix(text, "/") {
		return "expected a path that begins with /"
	}
	for strings.Contains(text, "//") {
		text = strings.ReplaceAll(text, "//", "/")
	}
	text, r.whole = strings.CutSuffix(text, "$")
	for text != "" {
		before, rest, open := strings.Cut(text, "{")
		if before != "" {
			r.path = append(r.path, piece{text: before})
		}
		if !open {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || strings.ContainsAny(name, "/{") {
			return "expected } behind {"
		}
		if len(r.path) > 0 && r.path[len(r.path)-1].any {
			return "expected text between } and {"
		}
		r.path = append(r.path, piece{any: true})
		text = after
	}
	for rest := query; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		name, value, _ := strings.Cut(pair, "=")
		if name == "" {
			return "expected NAME=VALUE or NAME={any} behind ?"
		}
		r.params = append(r.params, param{name, value, strings.HasPrefix(value, "{") && strings.HasSuffix(value, "}")})
	}
	return ""
}

// matches reports whether the rule is about a request. A pattern is a prefix: /a matches /a, /ab and /a/b.
func (r *Rule) matches(method string, t *target) bool {
	if r.Method != "" && r.Method != method {
		return false
	}
	if !matchPieces(r.path, r.whole, t.path) {
		return false
	}
	for _, p := range r.params {
		value, ok := t.parameter(p.name)
		if !ok || !p.any && value != p.value {
			return false
		}
	}
	return true
}

// matchPieces matches a path. A wildcard takes at least one character of its segment; the text behind it is taken where it stands
// first, which leaves most for the wildcards that follow. So the path is read once for each piece at most: a caller cannot make a match
// expensive.
func matchPieces(pieces []piece, whole bool, path string) bool {
	for i := 0; i < len(pieces); i++ {
		p := pieces[i]
		if !p.any {
			rest, ok := strings.CutPrefix(path, p.text)
			if !ok {
				return false
			}
			path = rest
			continue
		}
		segment := segmentOf(path)
		if i+1 == len(pieces) {
			return segment > 0 && (!whole || segment == len(path))
		}
		i++
		if whole && i+1 == len(pieces) { // the last text ends the path
			at := len(path) - len(pieces[i].text)
			return at > 0 && at <= segment && path[at:] == pieces[i].text
		}
		if segment == 0 {
			return false
		}
		at := strings.Index(path[1:], pieces[i].text) + 1
		if at == 0 || at > segment {
			return false
		}
		path = path[at+len(pieces[i].text):]
	}
	return !whole || path == ""
}

// segmentOf returns how many characters at the beginning of a path a wildcard may take: those that APIcast takes, which are the
// unreserved and most reserved ones of URLs, and no slash.
func segmentOf(path string) int {
	for i := range len(path) {
		if !wild[path[i]] {
			return i
		}
	}
	return len(path)
}

// wild are the characters that a wildcard takes.
var wild = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.~%!$&'()*+,;=@:") {
		is[c] = true
	}
	return is
}()

// usage returns what a request uses by the rules, and the rules that matched, in order. The deltas of one metric add up, to
// threescale.MaxValue at most.
func usage(rules iter.Seq[*Rule], method string, t *target) (total threescale.Usage, matched []*Rule) {
	for r := range rules {
		if !r.matches(method, t) {
			continue
		}
		matched = append(matched, r)
		total = add(total, r.Metric, r.Delta)
		if r.Last {
			break
		}
	}
	return total, matched
}

func add(u threescale.Usage, metric string, delta uint64) threescale.Usage {
	for i := range u {
		if u[i].Metric == metric {
			u[i].Value = min(u[i].Value+delta, threescale.MaxValue)
			return u
		}
	}
	return append(u, threescale.Increment{Metric: metric, Value: delta})
}
