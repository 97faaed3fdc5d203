package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/reporterd/reporterd/internal/suggest"
	"github.com/reporterd/reporterd/internal/timespec"
)

const (
	mostFile    = 1 << 20 // bytes of the file
	mostSources = 500
)

// Problem is one thing that is wrong with a file of sources.
type Problem struct {
	Line   int
	Field  string // sources[0].refresh
	Reason string
}

func (p *Problem) Error() string { return fmt.Sprintf("line %d: %s: %s", p.Line, p.Field, p.Reason) }

// Read reads a file of sources: YAML, a list called sources, in the order of the file. A missing or empty file has none. The error
// has a line for each field that is wrong; it contains no token.
func Read(file string) ([]*Source, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostFile+1))
	if err == nil && len(text) > mostFile {
		err = fmt.Errorf("more than %d bytes", mostFile)
	}
	if err != nil {
		return nil, fmt.Errorf("source: %s: %w", file, err)
	}
	list, problems := parse(text)
	if len(problems) == 0 {
		return list, nil
	}
	lines := make([]error, len(problems))
	for i, p := range problems {
		lines[i] = fmt.Errorf("%s:%d: %s: %s", file, p.Line, p.Field, p.Reason)
	}
	return nil, errors.Join(lines...)
}

// parse reads the text of a file.
func parse(text []byte) ([]*Source, []*Problem) {
	var root, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	switch err := decoder.Decode(&root); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, []*Problem{notYAML(err)}
	case decoder.Decode(&more) == nil:
		return nil, []*Problem{{more.Line, "sources", "a second document: expected one"}}
	}
	p := &parser{}
	list := p.list(root.Content[0])
	return list, p.problems
}

func notYAML(err error) *Problem {
	text, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if before, after, found := strings.Cut(text, ": "); found {
		if n, bad := strconv.Atoi(strings.TrimPrefix(before, "line ")); bad == nil {
			text, line = after, n
		}
	}
	return &Problem{line, "sources", "not YAML: " + text}
}

// parser collects what is wrong.
type parser struct {
	problems []*Problem
	prefix   string // sources[0].
}

func (p *parser) wrong(n *yaml.Node, field, format string, args ...any) {
	p.problems = append(p.problems, &Problem{n.Line, p.prefix + field, fmt.Sprintf(format, args...)})
}

func (p *parser) list(n *yaml.Node) []*Source {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 || n.Content[0].Value != "sources" {
		field := "sources"
		if n.Kind == yaml.MappingNode && len(n.Content) > 0 {
			field = n.Content[0].Value
		}
		p.wrong(n, field, "expected one key, sources, and a list%s", suggest.Hint(field, []string{"sources"}))
		return nil
	}
	items := n.Content[1]
	if items.Kind == yaml.ScalarNode && items.Tag == "!!null" {
		return nil
	}
	if items.Kind != yaml.SequenceNode || len(items.Content) > mostSources {
		p.wrong(items, "sources", "expected a list of at most %d", mostSources)
		return nil
	}
	var all []*Source
	names := make(map[string]bool)
	for i, item := range items.Content {
		p.prefix = fmt.Sprintf("sources[%d].", i)
		s := p.source(item)
		if names[s.Name] && s.Name != "" {
			p.wrong(item, "name", "%q: another source has this name", s.Name)
		}
		names[s.Name] = true
		all = append(all, s)
	}
	return all
}

// keys are the fields of a source in the order of the manual.
var keys = []string{
	"name", "question", "path", "from", "service", "application", "metric", "since", "until", "by", "timezone", "limit", "shape", "columns", "refresh", "token_sha256",
}

func (p *parser) source(n *yaml.Node) *Source {
	s := &Source{Timezone: "UTC", Shape: shapeRows, Refresh: defaultRefresh, zone: time.UTC}
	if n.Kind != yaml.MappingNode {
		p.wrong(n, "name", "expected a name, and a question or a path")
		return s
	}
	at := make(map[string]*yaml.Node)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case !slices.Contains(keys, key.Value):
			p.wrong(key, key.Value, "no such key%s", suggest.Hint(key.Value, keys))
		case at[key.Value] != nil:
			p.wrong(key, key.Value, "appears twice")
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			p.wrong(value, key.Value, "anchors and aliases are not understood")
		case key.Value == "columns":
			at[key.Value] = value
			p.columns(s, value)
		case value.Kind != yaml.ScalarNode:
			p.wrong(value, key.Value, "expected one value")
		default:
			at[key.Value] = value
			p.set(s, key.Value, value)
		}
	}
	p.check(s, n, at)
	return s
}

func (p *parser) columns(s *Source, n *yaml.Node) {
	if n.Kind != yaml.MappingNode || n.Decode(&s.Columns) != nil {
		p.wrong(n, "columns", "expected names of columns and what they are called instead, such as {value: hits}")
	}
}

// set sets one field.
func (p *parser) set(s *Source, key string, n *yaml.Node) {
	text := n.Value
	switch key {
	case "name":
		s.Name = text
	case "question":
		s.Question = text
	case "path":
		s.Path = text
	case "from":
		s.From = From(text)
	case "service":
		s.Service = text
	case "application":
		s.Application = text
	case "metric":
		s.Metric = text
	case "since":
		s.Since = text
	case "until":
		s.Until = text
	case "by":
		s.By = text
	case "timezone":
		p.timezone(s, n)
	case "shape":
		s.Shape = text
	case "limit":
		var err error
		if s.Limit, err = strconv.Atoi(text); err != nil || s.Limit < 1 || s.Limit > mostLimit {
			p.wrong(n, key, "%q: expected a number from 1 to %d", text, mostLimit)
		}
	case "refresh":
		var err error
		if s.Refresh, err = timespec.Duration(text); err != nil {
			p.wrong(n, key, "%q: expected a duration with its unit, such as 30s, 15m or 1d", text)
		}
	case "token_sha256":
		digest, err := hex.DecodeString(text)
		if err != nil || len(digest) != sha256.Size {
			p.wrong(n, key, "expected 64 hexadecimal digits: `reporterd token hash` makes them")
			return
		}
		s.digest, s.readers = [sha256.Size]byte(digest), true
	}
}

func (p *parser) timezone(s *Source, n *yaml.Node) {
	zone, err := time.LoadLocation(n.Value)
	if err != nil || n.Value == "" || n.Value == "Local" {
		p.wrong(n, "timezone", "%q: expected a name such as UTC or Europe/Madrid", n.Value)
		return
	}
	s.Timezone, s.zone = n.Value, zone
}

// queryOf splits a path from its query.
func queryOf(target string) (string, url.Values, error) {
	path, query, _ := strings.Cut(target, "?")
	q, err := url.ParseQuery(query)
	return path, q, err
}
