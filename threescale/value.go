package threescale

import "unicode/utf8"

// Kind tells what a parameter turned out to be.
type Kind uint8

// The kinds. A name without an equals sign has the value Nil; a name that was not sent is Absent.
const (
	Absent Kind = iota
	Nil
	String
	Array
	Hash
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case Nil:
		return "nil"
	case String:
		return "string"
	case Array:
		return "array"
	case Hash:
		return "hash"
	}
	return "absent"
}

// Value is one parameter as Rack 3 reads it: nested, and in the order of first appearance, because the
// order of transactions in a body matters to the backend (recordings report-order-set-then-inc and
// report-order-inc-then-set). The zero Value is absent. Values are immutable; any number of goroutines
// may read one.
type Value struct{ n *node }

// Kind returns what v is.
func (v Value) Kind() Kind {
	if v.n == nil {
		return Absent
	}
	return v.n.kind
}

// Text returns the text of a String, and "" for everything else.
func (v Value) Text() string {
	if v.n == nil {
		return ""
	}
	return v.n.text
}

// Len returns the number of entries of a Hash or an Array.
func (v Value) Len() int {
	if v.n == nil {
		return 0
	}
	return len(v.n.entries)
}

// Entry returns the i-th entry of a Hash or an Array in order of first appearance. The entries of an
// Array have no names. It panics if i is not below Len.
func (v Value) Entry(i int) (name string, value Value) {
	e := &v.n.entries[i]
	return e.name, Value{e.value}
}

// Get returns the entry of a Hash by its name; the zero Value if there is none, or v is no Hash.
func (v Value) Get(name string) Value {
	if v.n == nil || v.n.kind != Hash {
		return Value{}
	}
	return Value{v.n.get(name)}
}

// ValidUTF8 reports whether every name and every text in v is valid UTF-8, at any depth.
func (v Value) ValidUTF8() bool {
	if v.n == nil {
		return true
	}
	if !utf8.ValidString(v.n.text) {
		return false
	}
	for i := range v.n.entries {
		e := &v.n.entries[i]
		if !utf8.ValidString(e.name) || !(Value{e.value}).ValidUTF8() {
			return false
		}
	}
	return true
}

// indexFrom is the number of entries from which a hash is given a map: below it, looking at every
// entry is faster than hashing.
const indexFrom = 12

// node is a Value under construction. Only the parser changes it, before other goroutines have it.
type node struct {
	kind    Kind
	text    string
	entries []entry
	index   map[string]int // of entries by name; nil while there are few
}

type entry struct {
	name  string
	value *node
}

func (n *node) position(name string) int {
	if n.index != nil {
		if i, ok := n.index[name]; ok {
			return i
		}
		return -1
	}
	for i := range n.entries {
		if n.entries[i].name == name {
			return i
		}
	}
	return -1
}

func (n *node) get(name string) *node {
	if i := n.position(name); i >= 0 {
		return n.entries[i].value
	}
	return nil
}

// set keeps the position of a name that is there already, as a hash of Ruby does.
func (n *node) set(name string, value *node) {
	if i := n.position(name); i >= 0 {
		n.entries[i].value = value
		return
	}
	n.entries = append(n.entries, entry{name, value})
	if n.index != nil {
		n.index[name] = len(n.entries) - 1
		return
	}
	if len(n.entries) >= indexFrom {
		n.reindex()
	}
}

func (n *node) remove(name string) {
	i := n.position(name)
	if i < 0 {
		return
	}
	n.entries = append(n.entries[:i], n.entries[i+1:]...)
	if n.index != nil {
		n.reindex()
	}
}

func (n *node) reindex() {
	n.index = make(map[string]int, 2*len(n.entries))
	for i := range n.entries {
		n.index[n.entries[i].name] = i
	}
}
