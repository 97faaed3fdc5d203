package traffic

import (
	"cmp"
	"os"
	"strings"
	"testing"

	"github.com/reporterd/reporterd/internal/mutation"
)

// mutants are ways in which a connection with two possible owners goes wrong. Each old text stands once in its file. judge is the test
// that has to notice; empty: TestDifferential.
var mutants = []struct{ name, judge, file, old, new string }{
	{"a body takes bytes of the next request", "", "loop.go", "		p = p[:b.left]\n", "		_ = p\n"},
	{"two lengths", "", "parser.go", "!ok || measured {", "!ok || false && measured {"},
	{"a name of two hosts", "", "parser.go", "if r.host != nil || !plainHost(value) {", "if !plainHost(value) {"},
	{"a connection that ends goes on", "", "parser.go", `if !equalFold(value, "keep-alive") {`, "if false {"},
	{"chunks are not seen", "", "parser.go", `"transfer-encoding", `, ""},
	{"the client waits to be asked for the body", "", "parser.go", `"expect", `, ""},
	{"what the handler leaves is the next request", "", "loop.go", "		_, _ = io.Copy(io.Discard, &c.body)\n", "		c.body.left = 0\n"},
	{"the rest of a body is waited for without end", "", "loop.go", "c.body.left > 0 && c.body.left <= maxDiscard && c.body.err == nil", "c.body.left > 0"},
	{"unread bytes are lost on the way", "", "loop.go", "c.listener.handOver(c.inner, c.buffer[c.at:])", "c.listener.handOver(c.inner, nil)"},
	{"a field of the request before", "", "parser.go", "!bytes.Equal(f.line, line)", "f.line == nil"},
	{"fields of the request before", "", "parser.go", "range p.fields[:from.fields]", "range p.fields"},
	{"no deadline for a body", "", "loop.go", "			c.arm(time.Now().Add(readTimeout))\n", ""},
	{"a deadline stays", "TestHandedOverWithoutDeadlines", "loop.go", "			_ = c.inner.SetDeadline(time.Time{}) // it fails on a closed connection only\n", ""},
	{"no deadline for an answer", "TestFastPathBoundsEveryWrite", "loop.go", "		_ = c.inner.SetWriteDeadline(now.Add(writeTimeout))\n", ""},
	{"an answer is cut off by a stop", "TestFastPathFinishes", "loop.go", "if c.stopped = true; !c.serving {", "if c.stopped = true; true {"},
}

// TestMutantsApply keeps the mutants in step with the code.
func TestMutantsApply(t *testing.T) {
	for _, m := range mutants {
		mutation.Apply(t, m.name, mutation.Change{File: m.file, Old: m.old, New: m.new})
	}
}

// TestMutants judges the tests of connections: it breaks the loop in one way after the other and expects them to notice.
func TestMutants(t *testing.T) {
	if os.Getenv("REPORTERD_MUTANTS") == "" {
		t.Skip("takes minutes: set REPORTERD_MUTANTS=1")
	}
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			mutation.Killed(t, cmp.Or(m.judge, "TestDifferential"), nil, mutation.Change{File: m.file, Old: m.old, New: m.new})
		})
	}
}
