package test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The rules of the house, as far as a machine can see them. Each has its reason in CONTRIBUTING.md.
const (
	module = "github.com/reporterd/reporterd"

	maxFileLines     = 400 // a longer file is a room that wants a wall
	maxCommandLines  = 60  // of a function in cmd: commands and wiring, no logic
	maxFunctionLines = 40  // nine in ten
)

// goPackage is a package as `go list` sees it.
type goPackage struct {
	ImportPath, Dir, Name, Doc string
	Imports                    []string
}

// goPackages lists the module's packages with Go files beside tests.
func goPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Name,Doc,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	require.NoError(t, err)
	var all []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var p goPackage
		require.NoError(t, decoder.Decode(&p))
		if p.Name != "" && p.ImportPath != module+"/test" {
			all = append(all, p)
		}
	}
	return all
}

// TestPackageGraph: ARCHITECTURE.md draws the arrows, and they are the ones that exist.
func TestPackageGraph(t *testing.T) {
	text, err := os.ReadFile("../ARCHITECTURE.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```graph\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, block, "ARCHITECTURE.md has a block ```graph of lines `package -> import, import`")
	drawn := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(block[1])), "\n") {
		name, imports, ok := strings.Cut(line, "->")
		require.True(t, ok, "%q is no arrow", line)
		drawn[strings.TrimSpace(name)] = slices.Sorted(slices.Values(strings.FieldsFunc(imports, func(r rune) bool { return r == ' ' || r == ',' })))
	}
	real := map[string][]string{}
	for _, p := range goPackages(t) {
		var imports []string
		for _, i := range p.Imports {
			if name, ok := strings.CutPrefix(i, module+"/"); ok {
				imports = append(imports, name)
			}
		}
		real[strings.TrimPrefix(p.ImportPath, module+"/")] = slices.Sorted(slices.Values(imports))
	}
	assert.Equal(t, real, drawn)
}

// TestPackageDocs: every package says what it is for, once, and none is a drawer for odds and ends.
func TestPackageDocs(t *testing.T) {
	t.Parallel()
	for _, p := range goPackages(t) {
		assert.NotEmpty(t, p.Doc, "package comment of %s", p.ImportPath)
		assert.NotContains(t, []string{"util", "utils", "common", "types", "helpers", "pkg", "misc"}, filepath.Base(p.Dir))
	}
}

// TestDependencies: a dependency is a decision, so what our code imports stands here too.
func TestDependencies(t *testing.T) {
	decided := []string{
		"github.com/Shopify/toxiproxy/v2",              // tests: what a network does to reports
		"github.com/chromedp/cdproto",                  // tests: a browser's protocol
		"github.com/chromedp/chromedp",                 // tests: the page in a browser
		"github.com/getkin/kin-openapi",                // tests: what is sent and answered against the API's description
		"github.com/go-viper/mapstructure/v2",          // viper's decoder, told to be exact
		"github.com/nats-io/jwt/v2",                    // tests: a NATS user's credentials
		"github.com/nats-io/nats-server/v2",            // the server inside the daemon
		"github.com/nats-io/nats.go",                   // usage by NATS
		"github.com/nats-io/nkeys",                     // tests: the same
		"github.com/envoyproxy/go-control-plane/envoy", // Envoy's external authorization
		"google.golang.org/grpc",
		"google.golang.org/genproto/googleapis/rpc/status",
		"github.com/pires/go-proxyproto",      // PROXY headers
		"github.com/prometheus/client_golang", // metrics
		"github.com/prometheus/common/model",  // durations in days and weeks
		"github.com/rs/zerolog",               // toxiproxy's log, to keep it quiet
		"github.com/spf13/cobra",              // commands
		"github.com/spf13/pflag",              // their flags, which config reads
		"github.com/spf13/viper",              // configuration
		"github.com/stretchr/testify",         // tests
		"go.etcd.io/bbolt",                    // the ledger's file
		"go.uber.org/zap",                     // logs
		"golang.org/x/sys/unix",               // the monotonic clock, for systemd; when a file was made, to know a copy
		"golang.org/x/time/rate",              // producers' rates
		"go.yaml.in/yaml/v3",                  // the configuration file's keys, for errors that name them
	}
	cmd := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}{{"\n"}}{{join .TestImports "\n"}}{{"\n"}}{{join .XTestImports "\n"}}`, "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	require.NoError(t, err)
	for _, path := range strings.Fields(string(out)) {
		host, _, _ := strings.Cut(path, "/")
		if !strings.Contains(host, ".") || strings.HasPrefix(path, module) {
			continue
		}
		assert.True(t, slices.ContainsFunc(decided, func(d string) bool { return strings.HasPrefix(path, d) }), "%s is imported, and is not in the list of dependencies", path)
	}
}

// TestFiles: lengths, names, sleeps in tests, things left behind, and paths of one machine.
func TestFiles(t *testing.T) {
	t.Parallel()
	leftBehind := regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)
	machine := regexp.MustCompile(`(^|[^a-zA-Z.])/(home|Users|root)/[a-z]`)
	eachSource(t, func(name string, text string) {
		lines := strings.Count(text, "\n")
		assert.LessOrEqual(t, lines, maxFileLines, "%s: lines", name)
		assert.NotRegexp(t, `(^|/)(utils?|common|types|helpers|interfaces|misc)(_test)?\.go$`, name)
		if strings.HasSuffix(name, "house_test.go") || strings.HasSuffix(name, "mutant_test.go") {
			return // they name what is forbidden
		}
		assert.False(t, leftBehind.MatchString(text), "%s: %q", name, leftBehind.FindString(text))
		assert.False(t, machine.MatchString(text), "%s: a path of one machine: %q", name, machine.FindString(text))
		if strings.HasSuffix(name, "_test.go") {
			assert.False(t, strings.Contains(text, "time.Sleep"), "%s sleeps: wait for a condition; in a bubble of synctest, for time.After", name)
		}
	})
}

// TestFunctions: short, and in cmd never above the ceiling.
func TestFunctions(t *testing.T) {
	long := map[string][2]int{} // package → functions above maxFunctionLines, functions
	eachSource(t, func(name, text string) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, text, 0)
		require.NoError(t, err)
		count := long[filepath.Dir(name)]
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := set.Position(f.End()).Line - set.Position(f.Pos()).Line - 1
			if strings.HasPrefix(name, "cmd/") {
				assert.LessOrEqual(t, lines, maxCommandLines, "%s: %s", name, f.Name.Name)
			}
			count[1]++
			if lines > maxFunctionLines {
				count[0]++
			}
		}
		long[filepath.Dir(name)] = count
	})
	for dir, count := range long {
		assert.LessOrEqual(t, count[0]*10, count[1], "%s: %d of %d functions are longer than %d lines", dir, count[0], count[1], maxFunctionLines)
	}
}

// TestLockFile: npm's lock says what, never from where.
func TestLockFile(t *testing.T) {
	text, err := os.ReadFile("clients/node/package-lock.json")
	require.NoError(t, err)
	assert.NotContains(t, string(text), `"resolved"`)
	assert.Contains(t, string(text), `"integrity"`)
}

// eachSource visits every Go file of the repository, by its path from the top.
func eachSource(t *testing.T, visit func(name, text string)) {
	t.Helper()
	require.NoError(t, fs.WalkDir(os.DirFS(".."), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == "node_modules" || strings.HasPrefix(e.Name(), ".") && name != ".") {
			return fs.SkipDir
		}
		if !e.IsDir() && filepath.Ext(name) == ".go" {
			text, err := os.ReadFile(filepath.Join("..", name))
			require.NoError(t, err)
			visit(name, string(text))
		}
		return nil
	}))
}
