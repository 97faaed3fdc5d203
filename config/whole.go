package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// outline is what a reload looks at to tell a file that was edited from one that was cut off. Its zero value is that of no
// file.
type outline struct {
	name     string
	text     []byte
	keys     []string // of the top level, in their order
	whole    bool     // its end can be seen: it is in braces, or ends with a line "..."
	services bool     // services is written, with a list
}

// outlined notes what Follows needs of a file's text. root is nil where there is nothing in it.
func outlined(name string, text []byte, root *yaml.Node) outline {
	o := outline{name: name, text: text}
	lines := strings.Split(strings.TrimRight(string(text), " \t\r\n"), "\n")
	o.whole = strings.TrimRight(lines[len(lines)-1], " \t\r") == "..."
	if root == nil || root.Kind != yaml.MappingNode {
		return o
	}
	o.whole = o.whole || root.Style&yaml.FlowStyle != 0
	for i := 0; i+1 < len(root.Content); i += 2 {
		o.keys = append(o.keys, root.Content[i].Value)
		if root.Content[i].Value == "services" {
			o.services = dereference(root.Content[i+1]).Kind == yaml.SequenceNode
		}
	}
	return o
}

// Removed are the ids of the services of before that c does not have.
func (c *Config) Removed(before *Config) []string {
	var gone []string
	for _, s := range before.Services {
		if !slices.ContainsFunc(c.Services, func(t Service) bool { return t.ID == s.ID }) {
			gone = append(gone, s.ID)
		}
	}
	return gone
}

// Follows refuses a configuration that looks as if its file had lost a part since before was read: by a crash while it
// was written, a full disk, a wrong redirection. What is cut off is often still good YAML. The file is taken to be whole
// when it is in braces, or ends with a line "...", which is YAML's own end of a document; or when every service that it
// does not name any more is among meant. An empty file is never taken for one without services: that takes `services: []`.
func (c *Config) Follows(before *Config, meant []string) error {
	now, then := &c.file, &before.file
	gone := c.Removed(before)
	switch {
	case then.name == "":
		return nil
	case len(now.keys) == 0 && len(then.keys) > 0:
		return fmt.Errorf("%s: is empty, and was not: it is not taken", now.name)
	case len(gone) > 0 && !now.services:
		return fmt.Errorf("%s: services: not there any more: %s would be removed; to remove all, write services: []", now.name, named(gone))
	case now.whole, len(gone) > 0 && !slices.ContainsFunc(gone, func(id string) bool { return !slices.Contains(meant, id) }):
		return nil
	case now.endsInALine() && !then.endsInALine():
		return fmt.Errorf("%s: ends in the middle of a line, and did not: it may have been cut off; let it end with a new line", now.name)
	case now.beginningOf(then):
		return fmt.Errorf("%s: is only the beginning of what it was: it may have been cut off%s", now.name, remedy(gone))
	case len(gone) > 0 && len(c.Services) > 0 && now.endsWithServices() && c.firstServicesOf(before):
		return fmt.Errorf("%s: the end of the list of services is missing, and the file ends there: it may have been cut off%s", now.name, remedy(gone))
	}
	return nil
}

// remedy says how to have a removal taken all the same.
func remedy(gone []string) string {
	const end = `; if that is meant, let it end with a line of three dots (...), YAML's end of a document`
	if len(gone) == 0 {
		return end
	}
	return fmt.Sprintf("; it would remove %s%s, or reload with POST /-/reload?removed=%s", named(gone), end, strings.Join(gone, ","))
}

func named(ids []string) string {
	if len(ids) == 1 {
		return "service " + ids[0]
	}
	return "services " + strings.Join(ids, ", ")
}

func (o *outline) endsInALine() bool { return len(o.text) > 0 && o.text[len(o.text)-1] != '\n' }

// beginningOf reports whether the text is the beginning of another with more in it than comments.
func (o *outline) beginningOf(other *outline) bool {
	rest, found := bytes.CutPrefix(other.text, o.text)
	if !found {
		return false
	}
	for line := range bytes.Lines(rest) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return true
		}
	}
	return false
}

func (o *outline) endsWithServices() bool {
	return len(o.keys) > 0 && o.keys[len(o.keys)-1] == "services"
}

// firstServicesOf reports whether the services are the first of before's, in their order.
func (c *Config) firstServicesOf(before *Config) bool {
	for i, s := range c.Services {
		if i >= len(before.Services) || before.Services[i].ID != s.ID {
			return false
		}
	}
	return true
}
