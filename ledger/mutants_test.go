package ledger

import (
	"cmp"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/internal/mutation"
)

// mutants are ways to count an application under two names, or twice, or not at all. Each old text stands once in its file.
var mutants = []struct{ name, file, old, new string }{
	{"the old row stays", "renaming.go", "return days.Delete(key)", "return nil"},
	{"the old row is not added", "renaming.go", "to.add(c.metric, c.hour, c.Figures)", "_ = to"},
	{"rows of the first day only", "renaming.go", "			wanted.day++\n			continue\n", "			break\n"},
	{"another service's rows move, too", "renaming.go", "row{from.day, from.service, app}", "row{from.day, 1, app}"},
	{"booked under the key", "booking.go", "return b.names.application(b.tx, aliasKey{service, number})", "return number"},
	{"evidence under the key", "batches.go", "app := t.application(r.service, u.app)", "app := u.app"},
	{"the alias is not stored", "renaming.go", "if err := bucket.Put(key, seal(nil, key, binary.BigEndian.AppendUint32(nil, app))); err != nil {", "if err := bucket.Delete(key); err != nil {"},
	{"a stored alias is not read", "names.go", "app = applicationOf(tx, k)", "app = 0"},
	{"a crash before it is stored loses it", "aliases.go", "if asked[a] || r.names.stored[a] {", "if true {"},
	{"rows move under a reader", "aliases.go", "!r.paging.TryLock()", "!r.paging.TryLock() && !r.paging.TryRLock()"},
	{"stored again and again", "aliases.go", "if r.aliases[a] == ids[a] {", "if false {"},
}

// judges are the tests of mutants that the random histories cannot notice.
var judges = map[string]string{
	"a crash before it is stored loses it": "TestOneNameOfAPull",
	"rows move under a reader":             "TestOneNameAsked",
	"stored again and again":               "TestOneNameInPages",
}

// TestMutantsApply keeps the mutants in step with the code.
func TestMutantsApply(t *testing.T) {
	for _, m := range mutants {
		mutation.Apply(t, m.name, mutation.Change{File: m.file, Old: m.old, New: m.new})
	}
}

// TestMutants judges the tests of names: it breaks the ledger in one way after the other and expects them to notice.
func TestMutants(t *testing.T) {
	if os.Getenv("REPORTERD_MUTANTS") == "" {
		t.Skip("takes minutes: set REPORTERD_MUTANTS=1")
	}
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			judge := cmp.Or(judges[m.name], "TestOneNameHistories")
			output := mutation.Killed(t, judge, nil, mutation.Change{File: m.file, Old: m.old, New: m.new})
			assert.Regexp(t, "--- FAIL: "+judge+"|fatal error: sync: Unlock", output)
		})
	}
}
