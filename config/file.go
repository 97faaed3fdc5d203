package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 4 << 20

// file is a parsed configuration file on its way to viper. Unknown keys, repeated keys and sections that
// are no sections are found here and not by viper, because only here is the line known, and because viper
// lower-cases keys and lets an empty section (`batch:`) hide the environment and the flags of its keys.
type file struct {
	name  string
	found *problems
}

// readFile returns what a file says, without what is unknown, empty or of the wrong shape: those are
// noted as problems; and its outline. The error is that of a file that cannot be read, or is no YAML.
func readFile(name string, found *problems) (map[string]any, outline, error) {
	text, err := readBounded(name)
	if err != nil {
		return nil, outline{}, err
	}
	var root, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	switch err := decoder.Decode(&root); {
	case errors.Is(err, io.EOF):
		return nil, outlined(name, text, nil), nil
	case err != nil:
		return nil, outline{}, fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if decoder.Decode(&more) == nil {
		return nil, outline{}, fmt.Errorf("%s:%d: a second document: expected one", name, more.Line)
	}
	f := &file{name: name, found: found}
	return f.section(root.Content[0], reflect.TypeOf(Config{}), ""), outlined(name, text, dereference(root.Content[0])), nil
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: larger than %v", name, Size(maxFile))
	}
	return text, err
}

// section reads a mapping whose keys are those of the struct type. prefix is the section's own key.
func (f *file) section(n *yaml.Node, t reflect.Type, prefix string) map[string]any {
	if n = dereference(n); n.Kind != yaml.MappingNode {
		if !null(n) {
			f.problem(n, prefix, "expected a section of keys")
		}
		return nil
	}
	out := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], dereference(n.Content[i+1])
		key := strings.TrimPrefix(prefix+"."+name.Value, ".")
		field, known := fieldOf(t, name.Value)
		if _, twice := f.found.origins[key]; twice {
			f.problem(name, key, "given twice")
			continue
		}
		f.found.origins[key] = f.at(name)
		switch {
		case name.Tag == "!!merge":
			f.found.add(key, nil, "merge keys are not supported: write the keys out")
		case !known:
			f.found.add(key, nil, "unknown key%s", suggestion(t, name.Value))
		case null(value): // an empty value is the default
		default:
			out[name.Value] = f.value(value, field.Type, key)
		}
	}
	return out
}

// value reads what stands at a key, as far as its shape matches the field's type.
func (f *file) value(n *yaml.Node, t reflect.Type, key string) any {
	switch {
	case t.Kind() == reflect.Struct:
		return f.section(n, t, key)
	case t.Kind() == reflect.Slice:
		return f.list(n, t.Elem(), key)
	case n.Kind != yaml.ScalarNode:
		f.problem(n, key, "expected one value")
		return nil
	}
	if t.Kind() == reflect.String && t != secretType && t != passthroughType && n.Tag != "!!str" {
		f.found.add(key, bare(n.Value), "expected text, in quotes: %q", n.Value)
		return nil
	}
	var v any
	if err := n.Decode(&v); err != nil {
		f.problem(n, key, "expected one value")
	}
	return v
}

func (f *file) list(n *yaml.Node, element reflect.Type, key string) any {
	if n.Kind != yaml.SequenceNode {
		f.problem(n, key, "expected a list")
		return nil
	}
	out := []any{}
	for i, item := range n.Content {
		key := fmt.Sprintf("%s[%d]", key, i)
		f.found.origins[key] = f.at(item)
		out = append(out, f.value(dereference(item), element, key))
	}
	return out
}

func (f *file) problem(n *yaml.Node, key, reason string) {
	f.found.found = append(f.found.found, Problem{Key: key, Reason: reason, Origin: f.at(n)})
}

func (f *file) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", f.name, n.Line) }

// bare is a value as it stands in the file, which a message shows without quotes: 0012 would be 10 otherwise.
type bare string

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func dereference(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// fieldOf finds the field of a key. Keys are matched as written: Listen is not listen.
func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("key") == key && key != "" {
			return f, true
		}
	}
	return reflect.StructField{}, false
}
