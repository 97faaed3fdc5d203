package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

//go:generate go test . -run ^TestManual$ -update

var update = flag.Bool("update", false, "rewrite the generated manual")

const (
	manualFile = "../docs/configuration.md"
	example    = "../deploy/reporterd.example.yaml"
)

const preface = `# Configuration

<!-- Generated from the comments in config/config.go by "go generate ./config"; a test compares. -->

` + "`reporterd serve --config reporterd.yaml`" + ` reads one YAML file. Everything has a default; a commented
example is [deploy/reporterd.example.yaml](../deploy/reporterd.example.yaml).

Command-line options beat the environment, the environment beats the file, the file beats the defaults. An
environment variable that is empty counts as not set, and an empty value in the file is the default.
Durations are written with their unit (` + "`500ms`, `5s`, `10m`" + `), sizes as ` + "`512KiB`, `4MiB`, `10GiB`" + `
or in plain bytes. Relative paths are relative to the working directory.

An unknown key, a wrong type or a value out of range stops ` + "`serve`" + ` with exit status 78 and a line that
names the place, the key, the value and what was expected:

` + "```" + `
reporterd.yaml:12: batch.flush_interval: "soon": expected a duration with its unit, such as 500ms, 5s, 10m or 7d
` + "```" + `

` + "`reporterd config check`" + ` says the same without starting anything, and ` + "`reporterd config show`" + ` prints what
is in force, where each value came from, and no secret.
`

// TestManual holds docs/configuration.md against the struct: every key is in it, with its comment, its
// default, its bounds, its variable and its option.
func TestManual(t *testing.T) {
	want := preface + manual(t, reflect.TypeOf(Config{}), reflect.ValueOf(*Default()), "", comments(t))
	if *update {
		require.NoError(t, os.WriteFile(manualFile, []byte(want), 0o644))
	}
	got, err := os.ReadFile(manualFile)
	require.NoError(t, err)
	assert.Equal(t, want, string(got), "out of date: go generate ./config")
}

// comments are the field comments of this package's structs, by Type.Field.
func comments(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range []string{"config.go", "accounting.go", "backend.go", "listeners.go", "receipts.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(t, err)
		commentsIn(parsed, out)
	}
	return out
}

func commentsIn(parsed *ast.File, out map[string]string) {
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				out[spec.Name.Name+"."+f.Names[0].Name] = f.Doc.Text()
			}
		}
		return false
	})
}

func manual(t *testing.T, typ reflect.Type, defaults reflect.Value, prefix string, doc map[string]string) string {
	t.Helper()
	var b strings.Builder
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Tag.Get("key") == "" {
			continue
		}
		key, comment := prefix+f.Tag.Get("key"), doc[typ.Name()+"."+f.Name]
		require.NotEmpty(t, comment, "%s has no comment", key)
		level := "##"
		if prefix != "" {
			level = "###"
		}
		fmt.Fprintf(&b, "\n%s `%s`\n\n%s", level, key, comment)
		switch {
		case f.Type == servicesType:
			b.WriteString(manual(t, f.Type.Elem(), reflect.ValueOf(Service{}), "services[].", doc))
		case f.Type.Kind() == reflect.Struct:
			b.WriteString(manual(t, f.Type, defaults.Field(i), key+".", doc))
		default:
			b.WriteString("\n" + facts(key, f.Tag, defaults.Field(i)) + "\n")
		}
	}
	return b.String()
}

// facts is the line under a key: what the tags and the defaults say.
func facts(key string, tag reflect.StructTag, value reflect.Value) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	inService := strings.HasPrefix(key, "services[]")
	switch text := written(value); {
	case inService && tag.Get("need") != "":
		add("required")
	case text == "" && value.Kind() == reflect.String:
		add("default: empty")
	case value.Kind() != reflect.Slice:
		add("default: `%s`", text)
	}
	if low := tag.Get("min"); low != "" {
		add("`%s` to `%s`", low, tag.Get("max"))
	}
	if words := tag.Get("oneof"); strings.Contains(words, ",") {
		add("one of `%s`", strings.ReplaceAll(words, ",", "`, `"))
	}
	if !inService {
		add("`%s`", Variable(key))
		add("%s", map[string]string{takenByReload: "taken by a reload", readByReload: "read again by a reload", "": "a change needs a restart"}[tag.Get("reload")])
	}
	if name := Flag(key); name != "" {
		add("`--%s`", name)
	}
	return strings.Join(parts, " · ")
}

func written(v reflect.Value) string {
	d, ok := v.Interface().(time.Duration)
	if !ok {
		return fmt.Sprint(v.Interface())
	}
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} { // 1h0m0s is written 1h
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// TestTagsCanBeRead keeps a slip in a tag from switching a check off.
func TestTagsCanBeRead(t *testing.T) {
	for _, f := range fields(reflect.ValueOf(Default()).Elem(), "") {
		low, high := f.tag.Get("min"), f.tag.Get("max")
		require.Equal(t, low == "", high == "", f.key)
		if low != "" {
			assert.Less(t, f.bound(low), f.bound(high), f.key)
		}
		if f.value.CanInt() {
			assert.NotEmpty(t, low, "%s: a number without bounds", f.key)
			assert.True(t, f.within(), "%s: its default is out of bounds", f.key)
		}
		assert.Contains(t, []string{"", "address", "url", "file", "servers", "monitors", "subject", "inboxes", "name", "origins", "hosts", "networks", "proxied"}, f.tag.Get("kind"), f.key)
	}
	for _, f := range flags {
		assert.Equal(t, f.name, Flag(f.key))
		found := false
		for _, g := range fields(reflect.ValueOf(Default()).Elem(), "") {
			found = found || g.key == f.key
		}
		assert.True(t, found, "--%s sets no key", f.name)
	}
}

// TestExample loads the example file, which shows every section, and holds its values against the
// defaults: what it says by way of example is what is in force without it.
func TestExample(t *testing.T) {
	t.Setenv("REPORTERD_EXAMPLE_TOKEN", "t")
	c, err := Load(Source{File: example})
	require.NoError(t, err)
	want := fields(reflect.ValueOf(Default()).Elem(), "")
	for i, f := range fields(reflect.ValueOf(c).Elem(), "") {
		assert.Equal(t, want[i].value.Interface(), f.value.Interface(), f.key)
		section, _, _ := strings.Cut(f.key, ".")
		if strings.Contains(f.key, ".") && section != "sandbox" {
			assert.NotEmpty(t, c.Origin(f.key), "%s is missing in the example", f.key)
		}
	}
	require.Len(t, c.Services, 1)
	assert.Equal(t, "t", string(c.Services[0].Token))
}
