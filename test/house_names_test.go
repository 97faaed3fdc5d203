package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	maxStubLines    = 30 // of cmd/reporterd: it decides nothing
	maxSharedByName = 3  // packages that may give a type the same name without a row in ARCHITECTURE.md
)

// parsed visits the syntax of every Go file that is no test, by its path from the top.
func parsed(t *testing.T, visit func(name string, file *ast.File)) {
	t.Helper()
	eachSource(t, func(name, text string) {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "test/") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
		require.NoError(t, err)
		visit(name, file)
	})
}

// TestCommandIsAStub: cmd/reporterd hands its arguments to cli, and does nothing else.
func TestCommandIsAStub(t *testing.T) {
	var files []string
	eachSource(t, func(name, text string) {
		if strings.HasPrefix(name, "cmd/") {
			files = append(files, name)
			assert.Less(t, strings.Count(text, "\n"), maxStubLines, name)
		}
	})
	assert.Equal(t, []string{"cmd/reporterd/main.go"}, files)
}

// TestTypeNames: a name that more than three packages give to a type has a row in ARCHITECTURE.md, which says what it means.
func TestTypeNames(t *testing.T) {
	packages := map[string][]string{}
	parsed(t, func(name string, file *ast.File) {
		for _, decl := range file.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok || d.Tok != token.TYPE {
				continue
			}
			for _, spec := range d.Specs {
				of := spec.(*ast.TypeSpec).Name.Name
				if !ast.IsExported(of) {
					continue
				}
				if dir := path.Dir(name); !slices.Contains(packages[of], dir) {
					packages[of] = append(packages[of], dir)
				}
			}
		}
	})
	text, err := os.ReadFile("../ARCHITECTURE.md")
	require.NoError(t, err)
	for name, in := range packages {
		if len(in) > maxSharedByName {
			row := regexp.MustCompile(`(?m)^\| ([A-Z]\w+, )*` + name + `(, \w+)* \|`)
			assert.True(t, row.Match(text), "type %s is declared in %s: it needs a row in the words of ARCHITECTURE.md", name, strings.Join(in, ", "))
		}
	}
}

// maxConstructorParameters bounds what New or Open takes before it has to be an Options.
const maxConstructorParameters = 4

// TestConstructors: what is needed to make a thing stands in one Options, the last parameter, with at most one before it (a context,
// or what is wrapped). A constructor without Options takes few parameters.
func TestConstructors(t *testing.T) {
	name := regexp.MustCompile(`^(New|Open)([A-Z]\w*)?$`)
	seen := 0
	parsed(t, func(file string, parsed *ast.File) {
		for _, decl := range parsed.Decls {
			d, ok := decl.(*ast.FuncDecl)
			if !ok || d.Recv != nil || !name.MatchString(d.Name.Name) {
				continue
			}
			seen++
			assert.LessOrEqual(t, d.Type.Params.NumFields(), maxConstructorParameters, "%s: %s: use Options", file, d.Name)
			for i, field := range d.Type.Params.List {
				if of, ok := field.Type.(*ast.Ident); ok && strings.HasSuffix(of.Name, "Options") {
					last := i == len(d.Type.Params.List)-1
					assert.True(t, last && d.Type.Params.NumFields() <= 2, "%s: %s: Options is the last of at most two parameters", file, d.Name)
				}
			}
		}
	})
	assert.Greater(t, seen, 30, "constructors found")
}

// TestErrorPrefixes: an error that begins with the name of a package begins with that of its own, or of one above.
func TestErrorPrefixes(t *testing.T) {
	t.Parallel()
	rooms := map[string]bool{}
	for _, p := range goPackages(t) {
		rooms[path.Base(p.ImportPath)] = true
	}
	delete(rooms, "reporterd")                             // the program's own name
	also := map[string]string{"daemon/replica": "cluster"} // what an operator knows replicas by
	prefix := regexp.MustCompile(`^([a-z]+): `)
	parsed(t, func(name string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			made, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || made.Sel.Name != "Errorf" && made.Sel.Name != "New" {
				return true
			}
			literal, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			if m := prefix.FindStringSubmatch(text); err == nil && m != nil && rooms[m[1]] {
				own := append(strings.Split(path.Dir(name), "/"), also[path.Dir(name)])
				assert.Contains(t, own, m[1], "%s: %q", name, text)
			}
			return true
		})
	})
}
