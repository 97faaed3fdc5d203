package threescale

import (
	"errors"
	"strings"
)

// What can be wrong with a string of parameters. How it is answered depends on the method: see
// ReadOptions.refuse.
var (
	errPercent      = errors.New("invalid %-encoding")
	errNesting      = errors.New("nested too deep")
	errArrayAndHash = errors.New("array and hash under one name")
	errTextAndTree  = errors.New("text and structure under one name")
)

// paramReader builds one tree of parameters from strings of them, by the rules of Rack 3 that the
// recordings show, and no other ones. lenient adds what the daemon accepts beyond the backend.
type paramReader struct {
	root    *node
	lenient bool
	slab    []node // nodes not handed out yet: one allocation for many
}

func newParamReader(lenient bool) *paramReader {
	return &paramReader{root: &node{kind: Hash}, lenient: lenient}
}

// slabSize is how many nodes are allocated at a time.
const slabSize = 64

func (p *paramReader) newNode(kind Kind, text string) *node {
	if len(p.slab) == 0 {
		p.slab = make([]node, slabSize)
	}
	n := &p.slab[0]
	p.slab = p.slab[1:]
	n.kind, n.text = kind, text
	return n
}

// countParams is the backend's way of counting against its cap: ampersands plus one, empty parts
// included (recording report-4096-params). The empty string has none.
func countParams(s string) int {
	if s == "" {
		return 0
	}
	return strings.Count(s, "&") + 1
}

// readAll adds every parameter of a query string or a form body.
func (p *paramReader) readAll(s string) error {
	for first := true; ; first = false {
		part, rest, more := strings.Cut(s, "&")
		if !first {
			part = strings.TrimLeft(part, " ")
		}
		if part != "" {
			if err := p.readPair(part); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		s = rest
	}
}

func (p *paramReader) readPair(part string) error {
	rawName, rawText, hasText := strings.Cut(part, "=")
	name, err := unescape(rawName)
	if err != nil {
		return err
	}
	if !hasText {
		return p.add(name, p.newNode(Nil, ""))
	}
	text, err := unescape(rawText)
	if err != nil {
		return err
	}
	return p.add(name, p.newNode(String, text))
}

// add files a value under its unescaped name.
func (p *paramReader) add(name string, value *node) error {
	head, after := "", ""
	if p.lenient {
		head, after = splitHeadLenient(name)
	} else {
		head, after = splitHead(name)
	}
	return p.place(p.root, head, after, value, 0)
}

// splitHead parts a whole name at its first bracket; one at the very start is part of the name
// (recording authrep-leading-bracket-usage).
func splitHead(name string) (head, after string) {
	if len(name) < 2 {
		return name, ""
	}
	if i := strings.IndexByte(name[1:], '['); i >= 0 {
		return name[:i+1], name[i+1:]
	}
	return name, ""
}

// splitInner takes the next part of a name inside brackets. What does not start with a bracket is one
// literal name (recording report-inner-name-unbracketed).
func splitInner(name string) (head, after string) {
	if strings.HasPrefix(name, "[]") {
		return "[]", name[2:]
	}
	if strings.HasPrefix(name, "[") {
		if i := strings.IndexByte(name[1:], ']'); i >= 0 {
			return name[1 : i+1], name[i+2:]
		}
	}
	return name, ""
}

// place puts value into the hash n under head, descending by what follows the head.
func (p *paramReader) place(n *node, head, after string, value *node, depth int) error {
	switch {
	case depth >= MaxNesting:
		return errNesting
	case head == "":
		return nil
	case after == "":
		n.set(head, value)
		return nil
	case after == "[":
		n.set(head+after, value)
		return nil
	case strings.HasPrefix(after, "[]"):
		return p.placeInArray(n, head, after, value, depth)
	}
	child := n.get(head)
	if child == nil || child.kind == Nil {
		child = p.newNode(Hash, "")
		n.set(head, child)
	}
	if child.kind != Hash {
		return mismatch(child.kind, Hash)
	}
	return p.descend(child, after, value, depth+1)
}

func (p *paramReader) descend(n *node, name string, value *node, depth int) error {
	split := splitInner
	if p.lenient {
		split = splitInnerLenient
	}
	head, after := split(name)
	return p.place(n, head, after, value, depth)
}

// placeInArray is a name that goes on with []: a value of an array, or a field of a hash in one. A
// field the last hash has already begins the next hash.
func (p *paramReader) placeInArray(n *node, head, after string, value *node, depth int) error {
	array := n.get(head)
	if array == nil || array.kind == Nil {
		array = p.newNode(Array, "")
		n.set(head, array)
	}
	if array.kind != Array {
		return mismatch(array.kind, Array)
	}
	if after == "[]" {
		array.entries = append(array.entries, entry{value: value})
		return nil
	}
	name := arrayField(after)
	if last := len(array.entries) - 1; last >= 0 {
		if h := array.entries[last].value; h.kind == Hash && !h.hasField(name) {
			return p.descend(h, name, value, depth+1)
		}
	}
	h := p.newNode(Hash, "")
	if err := p.descend(h, name, value, depth+1); err != nil {
		return err
	}
	array.entries = append(array.entries, entry{value: h})
	return nil
}

// arrayField returns the name behind []: bare when it is one plain pair of brackets.
func arrayField(after string) string {
	rest := after[2:]
	if len(rest) > 2 && rest[0] == '[' && rest[len(rest)-1] == ']' {
		if bare := rest[1 : len(rest)-1]; !strings.ContainsAny(bare, "[]") {
			return bare
		}
	}
	return rest
}

// hasField reports whether the hash has the (possibly nested) field already.
func (n *node) hasField(name string) bool {
	if strings.Contains(name, "[]") {
		return false
	}
	at := n
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '[' || r == ']' }) {
		if at.kind != Hash {
			return false
		}
		if at = at.get(part); at == nil {
			return false
		}
	}
	return true
}

// mismatch tells the two conflicts apart that the backend answers differently.
func mismatch(got, want Kind) error {
	if got == String || want == String {
		return errTextAndTree
	}
	return errArrayAndHash
}

// unescape turns + into a blank and %XX into a byte. It does not copy what has neither.
func unescape(s string) (string, error) {
	i := strings.IndexAny(s, "%+")
	if i < 0 {
		return s, nil
	}
	out := make([]byte, i, len(s))
	copy(out, s[:i])
	for ; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(s) || unhex(s[i+1]) > 15 || unhex(s[i+2]) > 15 {
				return "", errPercent
			}
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return string(out), nil
}

// unhex returns the value of a hexadecimal digit, or something above 15.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
