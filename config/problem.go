package config

import (
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	Key    string // as in the file: batch.flush_interval, services[0].id
	Value  string // as it was given, never a secret; empty where there is none to show
	Reason string // what was expected, or why it is refused
	Origin string // reporterd.yaml:12, REPORTERD_LISTEN, --listen; empty for a default

	fault Fault
}

// String is the line an operator reads: where, which key, what it is, what was expected.
func (p Problem) String() string {
	var b strings.Builder
	for _, part := range []string{p.Origin, p.Key, p.Value} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	return b.String() + p.Reason
}

// Error is everything wrong with a configuration, a line each.
type Error struct {
	Problems []Problem // at least one, in the order of the keys
}

// Error lists the problems, one a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Fault says what has to change before a configuration can be used.
type Fault int

// Wrong is mended by an edit alone. Awaited is a file or a variable that the configuration names and that is not there
// yet, or is not whole yet: waiting and reading again may be enough. Option is a value of the command line.
const (
	Wrong Fault = iota
	Awaited
	Option
)

// NotThereYet marks an error about a file that a configuration names: FaultOf says Awaited of it.
func NotThereYet(err error) error { return &awaited{err} }

type awaited struct{ err error }

func (a *awaited) Error() string { return a.err.Error() }
func (a *awaited) Unwrap() error { return a.err }

// FaultOf says which of them an error of Load is. With problems of several kinds, Wrong comes before Option, and Option
// before Awaited.
func FaultOf(err error) Fault {
	var e *Error
	if !errors.As(err, &e) {
		if errors.As(err, new(*awaited)) {
			return Awaited
		}
		var file *fs.PathError
		if errors.As(err, &file) {
			return Awaited
		}
		return Wrong
	}
	out := Awaited
	for _, p := range e.Problems {
		switch {
		case p.fault == Awaited:
		case strings.HasPrefix(p.Origin, "--") && p.Origin != "--sandbox":
			out = Option
		default:
			return Wrong
		}
	}
	return out
}

// problems collects while a configuration is loaded.
type problems struct {
	found   []Problem
	origins map[string]string
}

// add notes a problem of a key whose value may be shown.
func (p *problems) add(key string, value any, reason string, args ...any) {
	p.found = append(p.found, Problem{
		Key: key, Value: shown(value), Reason: fmt.Sprintf(reason, args...), Origin: p.origin(key),
	})
}

// await notes a problem that may be gone when the configuration is read again.
func (p *problems) await(key string, value any, reason string, args ...any) {
	p.add(key, value, reason, args...)
	p.found[len(p.found)-1].fault = Awaited
}

// origin is where the key, or the nearest thing around it, was given.
func (p *problems) origin(key string) string {
	for ; key != ""; key = key[:max(0, strings.LastIndexAny(key, ".["))] {
		if o := p.origins[key]; o != "" {
			return o
		}
	}
	return ""
}

// has reports whether the key already has a problem, so that it gets one line only.
func (p *problems) has(key string) bool {
	for _, q := range p.found {
		if q.Key == key {
			return true
		}
	}
	return false
}

// err returns what was collected as an *Error, or nil.
func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	sort.SliceStable(p.found, func(i, j int) bool { return p.found[i].Key < p.found[j].Key })
	return &Error{Problems: p.found}
}

// maxShown bounds how much of a value a message repeats.
const maxShown = 120

func shown(value any) string {
	var s string
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		s = fmt.Sprintf("%q", v)
	default:
		s = fmt.Sprint(v)
	}
	if len(s) > maxShown {
		s = s[:maxShown] + "…"
	}
	return s
}
