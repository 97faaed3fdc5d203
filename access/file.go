package access

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Kind is the kind of the tokens in a file.
type Kind int

// A producer sends events for services; an operator has scopes.
const (
	Producers Kind = iota
	Operators
)

// Mistake is what is wrong with a file of tokens. It contains no digest.
type Mistake struct {
	Line   int
	Reason string
}

func (m *Mistake) Error() string { return fmt.Sprintf("line %d: %s", m.Line, m.Reason) }

// entry is one token as the file has it.
type entry struct {
	Name     string    `yaml:"name"`
	SHA256   string    `yaml:"sha256"`
	Services []string  `yaml:"services,omitempty,flow"`
	Scopes   []string  `yaml:"scopes,omitempty,flow"`
	Expires  time.Time `yaml:"expires,omitempty"`
	Rate     float64   `yaml:"rate,omitempty"`
}

// keys are the fields that an entry of each kind may have.
var keys = map[Kind][]string{
	Producers: {"name", "sha256", "services", "expires", "rate"},
	Operators: {"name", "sha256", "scopes", "services", "expires"},
}

// namePattern is what the name of a token's holder must match: it is written to logs.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@/-]{0,63}$`)

// Parse reads the text of a file of tokens: YAML, a list called tokens. The error is a *Mistake, or that of
// text that is not YAML. An empty file holds no token: every caller is refused.
func Parse(text []byte, kind Kind) ([]*Grant, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, notYAML(err)
	}
	if len(root.Content) == 0 {
		return nil, nil
	}
	list, err := tokenList(root.Content[0])
	if err != nil {
		return nil, err
	}
	var out []*Grant
	names, digests := map[string]bool{}, map[[sha256.Size]byte]bool{}
	for _, node := range list {
		g, err := grantOf(node, kind)
		switch {
		case err != nil:
			return nil, err
		case names[g.Name]:
			return nil, &Mistake{node.Line, fmt.Sprintf("name: %q: appears twice", g.Name)}
		case digests[g.digest]:
			return nil, &Mistake{node.Line, "sha256: the token of another name"}
		}
		names[g.Name], digests[g.digest] = true, true
		out = append(out, g)
	}
	return out, nil
}

// notYAML is yaml's error without the text of the file, which holds digests.
func notYAML(err error) error {
	var line int
	if _, scan := fmt.Sscanf(err.Error(), "yaml: line %d:", &line); scan == nil && line > 0 {
		return &Mistake{line, "not YAML"}
	}
	return errors.New("not YAML")
}

// tokenList returns the elements of the list. Aliases are refused: with them, a small file can stand for a huge one.
func tokenList(n *yaml.Node) ([]*yaml.Node, error) {
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 || n.Content[0].Value != "tokens" {
		return nil, &Mistake{n.Line, "expected one key, tokens, and a list"}
	}
	list := n.Content[1]
	if list.Kind == yaml.ScalarNode && list.Tag == "!!null" {
		return nil, nil
	}
	if list.Kind != yaml.SequenceNode {
		return nil, &Mistake{list.Line, "tokens: expected a list"}
	}
	return list.Content, nil
}

func grantOf(n *yaml.Node, kind Kind) (*Grant, error) {
	if n.Kind != yaml.MappingNode {
		return nil, &Mistake{n.Line, "expected name, sha256 and what the token is good for"}
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !slices.Contains(keys[kind], key.Value) {
			return nil, &Mistake{key.Line, fmt.Sprintf("%q: expected %s", cut(key.Value), strings.Join(keys[kind], ", "))}
		}
		if value.Kind == yaml.AliasNode || value.Anchor != "" {
			return nil, &Mistake{value.Line, key.Value + ": anchors and aliases are not understood"}
		}
	}
	var e entry
	if err := n.Decode(&e); err != nil {
		return nil, &Mistake{n.Line, "a value of the wrong type: name, sha256: text; services, scopes: lists; expires: a time; rate: a number"}
	}
	g, reason := e.grant(kind)
	if reason != "" {
		return nil, &Mistake{n.Line, reason}
	}
	return g, nil
}

// grant checks an entry. The reason is empty when there is nothing wrong with it.
func (e *entry) grant(kind Kind) (g *Grant, reason string) {
	g = &Grant{Name: e.Name, Services: e.Services, Scopes: e.Scopes, Expires: e.Expires, Rate: e.Rate}
	digest, err := hex.DecodeString(e.SHA256)
	switch {
	case !namePattern.MatchString(e.Name):
		return nil, "name: expected 1 to 64 letters, digits, . _ @ / -"
	case err != nil || len(digest) != sha256.Size:
		return nil, "sha256: expected 64 hexadecimal digits: `reporterd token hash` makes them"
	case e.Rate < 0 || math.IsNaN(e.Rate) || math.IsInf(e.Rate, 0):
		return nil, "rate: expected events a second, or nothing"
	case kind == Producers && len(e.Services) == 0:
		return nil, `services: expected ids of services, or "*" for all`
	case kind == Operators && len(e.Scopes) == 0:
		return nil, "scopes: expected some of " + strings.Join(Scopes, ", ")
	case kind == Operators && len(e.Services) > 0 && (slices.Contains(e.Scopes, Read) || slices.Contains(e.Scopes, Write)):
		return nil, "services: an operator's with the scopes stats and account_management alone: read and write are for all services"
	}
	for _, s := range e.Scopes {
		if !slices.Contains(Scopes, s) {
			return nil, fmt.Sprintf("scopes: %q: expected some of %s", cut(s), strings.Join(Scopes, ", "))
		}
	}
	copy(g.digest[:], digest)
	any := slices.Contains(e.Services, AnyService) || kind == Operators && len(e.Services) == 0
	if !any {
		g.services = make(map[string]bool, len(e.Services))
		for _, id := range e.Services {
			g.services[id] = true
		}
	}
	return g, ""
}

// cut bounds a value of the file that an error repeats.
func cut(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
