package sandbox

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// afterWorker is the part of a recording behind the answer: what the worker did.
type afterWorker struct {
	changed int             // counters that are different; -1: told in words
	changes []counterChange // the first 40 of them
	errors  []string        // code: message
}

// counterChange is one counter's, values of nil and (deleted) as 0.
type counterChange struct {
	key      string // without stats/
	old, new int64
}

var (
	changedCount = regexp.MustCompile(`(?m)^stats keys changed: (\d+)$`)
	changedLine  = regexp.MustCompile(`(?m)^stats/(\S+): (nil|"\d+") -> (\d+|\(deleted\))$`)
	storedError  = regexp.MustCompile(`(?m)^  (\w+: .*) @ \d{4}-`)
)

func readAfterWorker(t *testing.T, text string) *afterWorker {
	a := &afterWorker{}
	if m := changedCount.FindStringSubmatch(text); m != nil {
		a.changed, _ = strconv.Atoi(m[1])
	} else {
		a.changed = -1 // told in words
	}
	for _, m := range changedLine.FindAllStringSubmatch(text, -1) {
		a.changes = append(a.changes, counterChange{m[1], recordedValue(t, m[2]), recordedValue(t, m[3])})
	}
	for _, m := range storedError.FindAllStringSubmatch(text, -1) {
		a.errors = append(a.errors, m[1])
	}
	return a
}

func recordedValue(t *testing.T, text string) int64 {
	if text == "nil" || text == "(deleted)" {
		return 0
	}
	n, err := strconv.ParseInt(strings.Trim(text, `"`), 10, 64)
	require.NoError(t, err)
	return n
}

// changesBetween lists what is different, by name.
func changesBetween(before, after map[string]int64) map[string]counterChange {
	changes := map[string]counterChange{}
	for name, value := range after {
		if before[name] != value {
			changes[name] = counterChange{name, before[name], value}
		}
	}
	for name, value := range before {
		if _, still := after[name]; !still {
			changes[name] = counterChange{name, value, 0}
		}
	}
	return changes
}

// differs says how the recorded changes differ from ours, or "".
func (a *afterWorker) differs(ours map[string]counterChange) string {
	var b strings.Builder
	for _, c := range a.changes {
		mine, changed := ours[c.key]
		switch {
		case !changed:
			fmt.Fprintf(&b, "%s: recorded %d -> %d, here unchanged\n", c.key, c.old, c.new)
		case mine.new-mine.old != c.new-c.old:
			fmt.Fprintf(&b, "%s: recorded %d -> %d, here %d -> %d\n", c.key, c.old, c.new, mine.old, mine.new)
		}
	}
	if a.changed >= 0 && a.changed != len(ours) {
		fmt.Fprintf(&b, "counters changed: recorded %d, here %d\n", a.changed, len(ours))
	}
	return b.String()
}
