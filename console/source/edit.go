package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/reporterd/reporterd/internal/durable"
)

// Errors of Save and Remove.
var (
	ErrNoFile = errors.New("source: there is no file of sources: start with a configuration file, or set sources")
	ErrExists = errors.New("source: a source of this name is there already")
)

// Invalid says what is wrong with a source, a line for each field.
type Invalid struct{ Problems []*Problem }

func (e *Invalid) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Field[strings.LastIndexByte(p.Field, '.')+1:] + ": " + p.Reason
	}
	return strings.Join(lines, "; ")
}

// Draft is a source as its fields were given, not yet in effect.
type Draft struct{ node *yaml.Node }

// ReadDraft reads the fields of a source, by their names in the file, from a JSON object. Fields that are null or empty are left out.
// It checks none of them.
func ReadDraft(text []byte) (*Draft, error) {
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&fields); err != nil {
		return nil, fmt.Errorf("source: expected a JSON object: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("source: expected one JSON object")
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	unknown := slices.DeleteFunc(slices.Sorted(maps.Keys(fields)), func(key string) bool { return slices.Contains(keys, key) })
	for _, key := range slices.Concat(keys, unknown) {
		if v := fields[key]; v != nil && v != "" {
			n.Content = append(n.Content, quoted(key), nodeOf(v))
		}
	}
	return &Draft{n}, nil
}

// quoted is a scalar of YAML, quoted where its text would be something else than a string.
func quoted(value string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(value)
	return n
}

// nodeOf makes YAML of a value of JSON. What no field takes becomes text, which is refused later with the name of the field.
func nodeOf(v any) *yaml.Node {
	switch v := v.(type) {
	case string:
		return quoted(v)
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			n.Content = append(n.Content, quoted(key), quoted(fmt.Sprint(v[key])))
		}
		return n
	}
	return quoted(fmt.Sprint(v))
}

// get returns a field; nil: it is not given.
func (d *Draft) get(key string) *yaml.Node {
	for i := 0; i+1 < len(d.node.Content); i += 2 {
		if d.node.Content[i].Value == key {
			return d.node.Content[i+1]
		}
	}
	return nil
}

// Set gives a field a value.
func (d *Draft) Set(key, value string) {
	if n := d.get(key); n != nil {
		n.SetString(value)
		return
	}
	d.node.Content = append(d.node.Content, quoted(key), quoted(value))
}

// Source checks the draft, as the file is checked. The error is an *Invalid.
func (d *Draft) Source() (*Source, error) {
	p := &parser{}
	s := p.source(d.node)
	if len(p.problems) > 0 {
		return nil, &Invalid{p.problems}
	}
	return s, nil
}

// Save puts a source in effect under its name, in place of one that has it, and writes it to the file of sources. It returns nil
// once that is durable; after an error the file and the sources are as before. A reader's token of before stays unless the draft has
// one. With create there must be no source of this name (ErrExists). Comments in the file stay.
func (s *Store) Save(d *Draft, create bool) error {
	src, err := d.Source()
	if err != nil {
		return err
	}
	return s.edit(func(list *yaml.Node) error {
		at := indexOf(list, src.Name)
		switch {
		case at < 0:
			list.Content = append(list.Content, d.node)
			return nil
		case create:
			return ErrExists
		}
		before := &Draft{list.Content[at]}
		if token := before.get("token_sha256"); token != nil && d.get("token_sha256") == nil {
			d.Set("token_sha256", token.Value)
		}
		d.node.HeadComment, d.node.FootComment = list.Content[at].HeadComment, list.Content[at].FootComment
		list.Content[at] = d.node
		return nil
	})
}

// Remove ends a source and takes it out of the file. It returns nil once that is durable; ErrUnknown for a name that no source has.
func (s *Store) Remove(name string) error {
	return s.edit(func(list *yaml.Node) error {
		at := indexOf(list, name)
		if at < 0 {
			return ErrUnknown
		}
		list.Content = slices.Delete(list.Content, at, at+1)
		return nil
	})
}

func indexOf(list *yaml.Node, name string) int {
	return slices.IndexFunc(list.Content, func(n *yaml.Node) bool {
		field := (&Draft{n}).get("name")
		return field != nil && field.Value == name
	})
}

// edit changes the list of the file, checks all of it, replaces the file, and puts the sources in effect.
func (s *Store) edit(change func(list *yaml.Node) error) error {
	if s.options.File == "" {
		return ErrNoFile
	}
	s.editing.Lock()
	defer s.editing.Unlock()
	file, mode := s.options.File, os.FileMode(0o600)
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real // a link stays one
	}
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
	}
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("source: %w", err)
	}
	root, list, err := listOf(before)
	if err != nil {
		return err
	}
	if err := change(list); err != nil {
		return err
	}
	var text bytes.Buffer
	e := yaml.NewEncoder(&text)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(root), e.Close()); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	all, problems := parse(text.Bytes())
	if len(problems) > 0 {
		return &Invalid{problems}
	}
	if err := durable.WriteFile(file, text.Bytes(), mode); err != nil {
		return fmt.Errorf("source: %w: set sources to a file that the daemon may write, such as one in its data directory", err)
	}
	// A crash here leaves the new file, which the next start reads.
	s.Apply(all)
	return nil
}

// listOf returns the document of a file and the list in it, which is made where the file has none. A file with mistakes is refused:
// they may be work in progress.
func listOf(text []byte) (root, list *yaml.Node, err error) {
	if _, problems := parse(text); len(problems) > 0 {
		return nil, nil, fmt.Errorf("source: the file has to be corrected first: %w", &Invalid{problems})
	}
	root = &yaml.Node{}
	if err := yaml.Unmarshal(text, root); err != nil {
		return nil, nil, fmt.Errorf("source: %w", err)
	}
	if root.Kind == 0 || len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		top := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{quoted("sources"), {Kind: yaml.SequenceNode}}}
		root = &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{top}}
	}
	list = root.Content[0].Content[1]
	if list.Kind != yaml.SequenceNode {
		*list = yaml.Node{Kind: yaml.SequenceNode}
	}
	list.Style = 0 // a line for each, also where the file was JSON
	return root, list, nil
}

// Export returns the file of sources as it is; without a file an empty list. It has the hashes of tokens, and no token.
func (s *Store) Export() ([]byte, error) {
	text, err := os.ReadFile(s.options.File)
	if s.options.File == "" || errors.Is(err, fs.ErrNotExist) {
		return []byte("sources: []\n"), nil
	}
	return text, err
}
