package config

import (
	"bytes"
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// YAML writes the configuration in force as a file that Load would take, apart from its secrets, which
// show as [redacted]. What is not a default has a comment that says where it came from.
func (c *Config) YAML() ([]byte, error) {
	root := c.mapping(reflect.ValueOf(c).Elem(), "")
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("config: show: %w", err)
	}
	return out.Bytes(), encoder.Close()
}

func (c *Config) mapping(section reflect.Value, prefix string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := range section.NumField() {
		f := section.Type().Field(i)
		name, v := f.Tag.Get("key"), section.Field(i)
		if name == "" || (inList(prefix) && v.IsZero()) {
			continue
		}
		key := &yaml.Node{Kind: yaml.ScalarNode, Value: name}
		value := c.node(v, prefix+name)
		if from := c.origins[prefix+name]; from != "" {
			comment(key, value, from)
		}
		n.Content = append(n.Content, key, value)
	}
	return n
}

// comment stands beside a plain value, and above a list.
func comment(key, value *yaml.Node, text string) {
	switch {
	case value.Kind == yaml.ScalarNode:
		value.LineComment = "# " + text
	case value.Kind == yaml.SequenceNode:
		key.HeadComment = "# " + text
	}
}

// inList reports whether a prefix is that of a service: its keys that are not given are left out.
func inList(prefix string) bool { return len(prefix) > 1 && prefix[len(prefix)-2:] == "]." }

func (c *Config) node(v reflect.Value, key string) *yaml.Node {
	switch v.Kind() {
	case reflect.Struct:
		if s, ok := v.Interface().(Service); ok {
			v = reflect.ValueOf(s.asGiven())
		}
		return c.mapping(v, key+".")
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		if v.Len() == 0 {
			n.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			n.Content = append(n.Content, c.node(v.Index(i), fmt.Sprintf("%s[%d]", key, i)))
		}
		return n
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v.Interface())}
	if v.Kind() == reflect.String {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// asGiven is the service without the credentials that resolve took from a file or a variable.
func (s Service) asGiven() Service {
	if s.TokenFile != "" || s.TokenEnv != "" {
		s.Token = ""
	}
	if s.ProviderKeyFile != "" || s.ProviderKeyEnv != "" {
		s.ProviderKey = ""
	}
	return s
}
