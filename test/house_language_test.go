package test

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// plain are the packages that keep the rules of this file. A package joins when its texts are rewritten.
var plain = []string{
	"batcher", "cluster", "cluster/jetdisk", "console", "console/client", "console/source", "daemon", "daemon/partition", "daemon/replica", "gate",
	"internal/backoff", "internal/durable", "internal/histogram", "internal/lifecycle", "internal/memory", "internal/outage",
	"internal/suggest", "internal/systemd", "internal/timespec", "ledger", "ledger/reconcile", "spool", "spool/disk", "spool/disk/disktest", "spool/wal",
}

// parsedPlain visits the files of the packages in plain.
func parsedPlain(t *testing.T, visit func(name string, file *ast.File)) {
	t.Helper()
	parsed(t, func(name string, file *ast.File) {
		if slices.Contains(plain, path.Dir(name)) {
			visit(name, file)
		}
	})
}

// pronouns stand where a text should name the actor: a producer, an operator, another process.
var pronouns = regexp.MustCompile(`(?i)\b(nobody|somebody|anybody|everybody|whoever|whatever|whichever|others)\b`)

// pronoun finds one of them; noBody and no_body are names in 3scale's protocol.
func pronoun(text string) string {
	return pronouns.FindString(strings.ReplaceAll(text, "noBody", "no_body"))
}

// TestPlainEnglish: comments, log lines, errors and help texts of every package name the actor.
func TestPlainEnglish(t *testing.T) {
	t.Parallel()
	parsed(t, func(name string, file *ast.File) {
		for _, group := range file.Comments {
			for _, c := range group.List {
				assert.Empty(t, pronoun(c.Text), "%s: %s", name, c.Text)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(literal.Value); err == nil && strings.Contains(text, " ") {
				assert.Empty(t, pronoun(text), "%s: %q", name, text)
			}
			return true
		})
	})
}

// TestPlainEnglishOnThePage: so do the comments and texts of the console.
func TestPlainEnglishOnThePage(t *testing.T) {
	files, err := filepath.Glob("../console/page/*.[jh][st]*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		if strings.Contains(file, "uplot") || strings.Contains(file, "chartjs") {
			continue // a library
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			assert.Empty(t, pronouns.FindString(line), "%s: %s", file, line)
		}
	}
}

// beforeUse are functions that need no mutex although they use guarded fields: they run before other goroutines have the value,
// or the field is set once.
var beforeUse = []string{
	"spool.journal.replay", "spool.journal.remember", "spool.journal.window", "spool/wal.Log.Open", "spool/wal.Log.List",
	"daemon.services.open", "spool/disk/disktest.Disk.Boot", "cluster/jetdisk.Disk.Epoch", "cluster/jetdisk.Disk.takeOver", "cluster/jetdisk.Disk.read",
}

// TestLockedSuffix: a method that uses fields guarded by mu locks mu, or its name ends in Locked; so does the name of a function
// whose comment says that the mutex is held.
func TestLockedSuffix(t *testing.T) {
	held := regexp.MustCompile(`\b(mu|mutex) is held\b|\bholds (mu|the mutex)\b`)
	guarded := map[string][]string{} // fields, by package and type
	parsedPlain(t, func(name string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					guarded[path.Dir(name)+"."+spec.Name.Name] = guardedFields(s)
				}
			}
			return true
		})
	})
	parsedPlain(t, func(name string, file *ast.File) {
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || strings.HasSuffix(f.Name.Name, "Locked") {
				continue
			}
			assert.NotRegexp(t, held, f.Doc.Text(), "%s: %s", name, f.Name.Name)
			receiver, of := receiverOf(f)
			of = path.Dir(name) + "." + of
			if f.Body != nil && !slices.Contains(beforeUse, of+"."+f.Name.Name) {
				assert.False(t, usesWithoutLock(f.Body, receiver, guarded[of]), "%s: %s uses fields of %s that mu guards: lock it, or end the name in Locked", name, f.Name.Name, of)
			}
		}
	})
}

// guardedFields returns the fields that the comment of mu names, or those after it: "guards the fields below".
func guardedFields(s *ast.StructType) (names []string) {
	below, named := false, []string{}
	for _, field := range s.Fields.List {
		for _, n := range field.Names {
			if n.Name == "mu" {
				_, guards, _ := strings.Cut(field.Comment.Text(), "guards ")
				below, named = strings.HasPrefix(guards, "the fields below"), strings.Fields(guards)
			} else if below || slices.Contains(named, n.Name) {
				names = append(names, n.Name)
			}
		}
	}
	return names
}

func receiverOf(f *ast.FuncDecl) (name, of string) {
	if f.Recv == nil || len(f.Recv.List[0].Names) == 0 {
		return "", ""
	}
	kind := f.Recv.List[0].Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	if id, ok := kind.(*ast.Ident); ok {
		of = id.Name
	}
	return f.Recv.List[0].Names[0].Name, of
}

// usesWithoutLock reports whether a body uses one of the receiver's fields and never locks a mutex.
func usesWithoutLock(body *ast.BlockStmt, receiver string, fields []string) bool {
	uses, locks := false, false
	ast.Inspect(body, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		locks = locks || s.Sel.Name == "Lock" || s.Sel.Name == "RLock"
		x, ok := s.X.(*ast.Ident)
		uses = uses || ok && x.Name == receiver && slices.Contains(fields, s.Sel.Name)
		return true
	})
	return uses && !locks
}
