package jetdisk

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The changes of the directory.
const (
	opEpoch    = "epoch" // a new owner
	opCreate   = "create"
	opRename   = "rename"
	opRemove   = "remove"
	opOpen     = "open"     // a sealed file is written to again
	opSnapshot = "snapshot" // all files in one message; versions before format 2 wrote it
)

// format is the format of the directory that this version writes, which an epoch names. A version before format 2 did not know
// sealed files, and wrote to them without saying so.
const format = 2

// record is one message of the directory. The sequence number of a create is the file's id.
type record struct {
	Op     string            `json:"op"`
	Format int               `json:"format,omitempty"` // of an epoch
	ID     uint64            `json:"id,omitempty"`     // of the file that is opened
	Name   string            `json:"name,omitempty"`
	To     string            `json:"to,omitempty"`
	Sealed *seal             `json:"sealed,omitempty"` // of a rename; nil: the file is not sealed
	Files  map[string]uint64 `json:"files,omitempty"`  // of a snapshot: ids by name
}

// seal describes a file whose content is in one message at most, and that no owner writes to. It is not read when a disk is opened.
type seal struct {
	Size int64  `json:"size"`
	Last uint64 `json:"last"` // sequence number of the last message of its subject; 0: there is none
	Data uint64 `json:"data"` // of the message with its content; 0: there is none
}

// listing is a directory that is being read.
type listing struct {
	names   map[string]*node
	byID    map[uint64]*node
	next    map[string]*node // of a snapshot whose last part was not read yet; nil: there is none
	records int              // since the last complete snapshot
}

func newListing() *listing { return &listing{names: map[string]*node{}, byID: map[uint64]*node{}} }

var (
	errRecord = errors.New("not a change of the directory")
	errNewer  = errors.New("the disk was written by a newer version of reporterd")
)

// read applies one message. An error other than errNewer says that the message is none of a directory: nothing was changed.
func (l *listing) read(seq uint64, body []byte) error {
	if len(body) > 0 && body[0] == partVersion {
		return l.readPart(body)
	}
	var r record
	if err := json.Unmarshal(body, &r); err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	if r.Format > format {
		return errNewer
	}
	if !r.apply(seq, l) {
		return errRecord
	}
	l.next = nil
	l.records++
	return nil
}

// apply applies a change. It returns false if the change is unknown.
func (r *record) apply(seq uint64, l *listing) bool {
	switch r.Op {
	case opEpoch:
		if r.Format < format {
			l.openAll()
		}
	case opCreate:
		l.put(r.Name, &node{id: seq})
	case opRename:
		if n := l.names[r.Name]; n != nil {
			delete(l.names, r.Name)
			l.put(r.To, n)
			if r.Sealed != nil {
				n.seal(*r.Sealed)
			}
		}
	case opRemove:
		if n := l.names[r.Name]; n != nil {
			delete(l.byID, n.id)
			delete(l.names, r.Name)
		}
	case opOpen:
		if n := l.byID[r.ID]; n != nil {
			n.unseal()
		}
	case opSnapshot:
		clear(l.names)
		clear(l.byID)
		for name, id := range r.Files {
			l.put(name, &node{id: id})
		}
		l.records = 0
	default:
		return false
	}
	return true
}

func (l *listing) put(name string, n *node) {
	if old := l.names[name]; old != nil && old != n {
		delete(l.byID, old.id)
	}
	l.names[name], l.byID[n.id] = n, n
}

// openAll forgets what is known of sealed files: an owner followed that did not know them.
func (l *listing) openAll() {
	for _, n := range l.names {
		n.unseal()
	}
}

// A snapshot consists of parts, each of which is a message: partVersion, flags, then files until the end, sorted by name. A file is:
// how many bytes of its name are those of the previous file of the part, the number of further bytes, these; the id; 1 if it is
// sealed, else 0; and of a sealed one size, last and data, as in a seal. Numbers are uvarints.
const (
	partVersion = 1 // no JSON begins with it

	partFirst = 1 << 0
	partLast  = 1 << 1
)

// parts encodes the directory, in messages of most bytes and one file at most.
func snapshotParts(names map[string]*node, most int) (all [][]byte) {
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	part, previous := []byte{partVersion, partFirst}, ""
	for _, name := range sorted {
		if len(part) >= most {
			all = append(all, part)
			part, previous = []byte{partVersion, 0}, ""
		}
		part = names[name].appendTo(part, name, shared(previous, name))
		previous = name
	}
	part[1] |= partLast
	return append(all, part)
}

// shared returns how many bytes two names begin with in common.
func shared(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func (n *node) appendTo(part []byte, name string, shared int) []byte {
	part = binary.AppendUvarint(part, uint64(shared))
	part = binary.AppendUvarint(part, uint64(len(name)-shared))
	part = append(part, name[shared:]...)
	part = binary.AppendUvarint(part, n.id)
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.sealed {
		return append(part, 0)
	}
	part = append(part, 1)
	part = binary.AppendUvarint(part, uint64(n.size))
	part = binary.AppendUvarint(part, n.last)
	return binary.AppendUvarint(part, n.data)
}

// readPart applies a part of a snapshot. The snapshot is valid once its last part was read.
func (l *listing) readPart(body []byte) error {
	if len(body) < 2 || body[1]&partFirst == 0 && l.next == nil {
		return errRecord
	}
	found, err := readFiles(body[2:])
	if err != nil {
		return err
	}
	if body[1]&partFirst != 0 {
		l.next = make(map[string]*node, len(found))
	}
	for _, f := range found {
		l.next[f.name] = f.node
	}
	if body[1]&partLast != 0 {
		l.names, l.next, l.records = l.next, nil, 0
		l.byID = make(map[uint64]*node, len(l.names))
		for _, n := range l.names {
			l.byID[n.id] = n
		}
	}
	return nil
}

// namedNode is a file of a part.
type namedNode struct {
	name string
	node *node
}

func readFiles(body []byte) (found []namedNode, err error) {
	w := uvarints{rest: body}
	name := ""
	for len(w.rest) > 0 {
		from, more := w.next(), w.next()
		if w.bad || from > uint64(len(name)) || more > uint64(len(w.rest)) {
			return nil, errRecord
		}
		var b strings.Builder
		b.Grow(int(from + more))
		b.WriteString(name[:from])
		b.Write(w.rest[:more])
		name, w.rest = b.String(), w.rest[more:]
		n := &node{id: w.next()}
		if w.next() == 1 {
			n.seal(seal{Size: int64(w.next()), Last: w.next(), Data: w.next()})
		}
		if w.bad || n.size < 0 {
			return nil, errRecord
		}
		found = append(found, namedNode{name, n})
	}
	return found, nil
}

// uvarints reads numbers. After the first error all numbers are 0, and bad is set.
type uvarints struct {
	rest []byte
	bad  bool
}

func (w *uvarints) next() uint64 {
	v, n := binary.Uvarint(w.rest)
	if n <= 0 {
		w.rest, w.bad = nil, true
		return 0
	}
	w.rest = w.rest[n:]
	return v
}
