package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
)

// The format of bbolt's pages: a head (id 8, flags 2, count 2, overflow 4), elements of 16 bytes, then keys and values in the
// order of the elements without a gap. Integers are little-endian on every machine the daemon is built for.
const (
	pageHead    = 16
	elementSize = 16
	metaSize    = 64

	pageBranch   = 0x01
	pageLeaf     = 0x02
	pageFreelist = 0x10

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	maxDepth    = 32
)

// errStructure says that pages are missing, or that they are in the wrong place.
var errStructure = fmt.Errorf("%w: its pages are inconsistent", errDamaged)

// walker reads a bbolt file page by page without bbolt, which panics at some kinds of damage, loops at some, and misses
// some. It verifies that every page is used exactly once, keys are in order and within the limits of the page above, and
// no byte of a used page is left over. It is for one goroutine; the file must not be written meanwhile.
type walker struct {
	ctx      context.Context
	file     io.ReaderAt
	pageSize int64
	high     uint64 // pages from here on are not used
	used     []bool // pages visited
	visited  int

	// lenient skips damaged pages and continues; lost counts them.
	lenient bool
	lost    int

	// value is called with every value of the buckets, in the order of keys. Key and value are valid until it returns.
	value func(bucket string, key, value []byte) error
}

// tree is the newest state of the file.
type tree struct {
	root, freelist, high, txid uint64
	pageSize                   int64
}

// readTree returns the newer of the two states whose checksum holds, as bbolt does.
func readTree(file io.ReaderAt) (tree, error) {
	found := tree{}
	for _, size := range []int64{0, 4096, 8192, 16384, 32768, 65536} { // the second state is in the second page
		data := make([]byte, pageHead+metaSize)
		if n, err := file.ReadAt(data, size); n < len(data) {
			if err != nil && !errors.Is(err, io.EOF) {
				return found, err
			}
			continue
		}
		t, ok := parseTree(data[pageHead:])
		if ok && (size == 0 || t.pageSize == size) && t.txid >= found.txid {
			found = t
		}
	}
	if found.pageSize == 0 {
		return found, errStructure
	}
	return found, nil
}

func parseTree(meta []byte) (tree, bool) {
	le := binary.LittleEndian
	sum := fnv.New64a()
	_, _ = sum.Write(meta[:56])
	if le.Uint32(meta) != boltMagic || le.Uint32(meta[4:]) != boltVersion || le.Uint64(meta[56:]) != sum.Sum64() {
		return tree{}, false
	}
	return tree{pageSize: int64(le.Uint32(meta[8:])), root: le.Uint64(meta[16:]), freelist: le.Uint64(meta[32:]), high: le.Uint64(meta[40:]), txid: le.Uint64(meta[48:])}, true
}

// element is an element of a page.
type element struct {
	flags      uint32
	child      uint64 // of a branch
	key, value []byte
}

// walk visits all values of the buckets, those of meta first, and checks that each page is either used or free.
func (w *walker) walk(file *os.File) error {
	t, err := readTree(file)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if t.pageSize < 1024 || t.high < 4 || int64(t.high) > info.Size()/t.pageSize+1 {
		return errStructure
	}
	w.file, w.pageSize, w.high, w.used = file, t.pageSize, t.high, make([]bool, t.high)
	var buckets []element
	err = w.page(t.root, nil, nil, 0, func(e element) error {
		buckets = append(buckets, element{flags: e.flags, key: bytes.Clone(e.key), value: bytes.Clone(e.value)})
		return nil
	})
	if err != nil {
		return err
	}
	for _, first := range []bool{true, false} {
		for _, b := range buckets {
			if bytes.Equal(b.key, bucketMeta) != first {
				continue
			}
			if err := w.bucket(b); err != nil {
				return err
			}
		}
	}
	if w.lenient {
		return nil
	}
	all := len(allBuckets)
	if slices.ContainsFunc(buckets, func(b element) bool { return bytes.Equal(b.key, bucketAliases) }) {
		all++
	}
	if len(buckets) != all {
		return errStructure
	}
	return w.free(t.freelist)
}

// bucket visits the values of a bucket: it has a root page and a sequence, and contains the page itself if it is small.
func (w *walker) bucket(b element) error {
	if b.flags != 1 || len(b.value) < 16 {
		return w.damage("bucket %q", b.key)
	}
	name := string(b.key)
	each := func(e element) error {
		if e.flags != 0 {
			return w.damage("bucket %q has another", name)
		}
		return w.value(name, e.key, e.value)
	}
	if err := w.value(name, nil, b.value[8:16]); err != nil { // the sequence
		return err
	}
	if root := binary.LittleEndian.Uint64(b.value); root != 0 {
		return w.page(root, nil, nil, 0, each)
	}
	inline := b.value[16:]
	if len(inline) < pageHead || binary.LittleEndian.Uint16(inline[8:]) != pageLeaf {
		return w.damage("bucket %q", b.key)
	}
	return w.elements(inline, func(e element) error { return each(e) }, nil, nil)
}

// damage returns an error, or only counts it if lenient is set.
func (w *walker) damage(format string, what ...any) error {
	if w.lenient {
		w.lost++
		return nil
	}
	return fmt.Errorf("%w: "+format, append([]any{errStructure}, what...)...)
}

// page visits the elements of a page and the pages below it, whose keys are in [low, high); nil: no limit.
func (w *walker) page(id uint64, low, high []byte, depth int, each func(element) error) error {
	if w.visited++; w.visited%1000 == 0 && w.ctx.Err() != nil {
		return w.ctx.Err()
	}
	if depth > maxDepth || !w.use(id, 1) {
		return w.damage("page %d", id)
	}
	data, err := w.read(id, w.pageSize)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	flags, overflow := le.Uint16(data[8:]), uint64(le.Uint32(data[12:]))
	if le.Uint64(data) != id || overflow > 0 && !w.use(id+1, overflow) {
		return w.damage("page %d", id)
	}
	if overflow > 0 {
		if data, err = w.read(id, w.pageSize*int64(1+overflow)); err != nil {
			return err
		}
	}
	switch flags {
	case pageLeaf:
		return w.elements(data, each, low, high)
	case pageBranch:
		return w.branch(data, low, high, depth, each)
	}
	return w.damage("page %d", id)
}

// branch visits the pages below a page.
func (w *walker) branch(data, low, high []byte, depth int, each func(element) error) error {
	var children []element
	err := w.elements(data, func(e element) error {
		children = append(children, element{child: e.child, key: bytes.Clone(e.key)})
		return nil
	}, nil, high)
	if err != nil {
		return err
	}
	if len(children) == 0 {
		return w.damage("a page that leads nowhere")
	}
	for i, c := range children {
		from, to := c.key, high
		if i == 0 {
			from = low
		}
		if i+1 < len(children) {
			to = children[i+1].key
		}
		if err := w.page(c.child, from, to, depth+1, each); err != nil {
			return err
		}
	}
	return nil
}

// elements calls each with the elements of a page.
func (w *walker) elements(data []byte, each func(element) error, low, high []byte) error {
	le := binary.LittleEndian
	branch, count := le.Uint16(data[8:]) == pageBranch, int(le.Uint16(data[10:]))
	at := pageHead + count*elementSize
	var last []byte
	for i := range count {
		head := pageHead + i*elementSize
		if head+elementSize > len(data) {
			return w.damage("a page's elements")
		}
		e, pos, keySize, valueSize := element{}, 0, 0, 0
		if h := data[head:]; branch {
			pos, keySize, e.child = int(le.Uint32(h)), int(le.Uint32(h[4:])), le.Uint64(h[8:])
		} else {
			e.flags, pos, keySize, valueSize = le.Uint32(h), int(le.Uint32(h[4:])), int(le.Uint32(h[8:])), int(le.Uint32(h[12:]))
		}
		if head+pos != at || keySize == 0 || at+keySize+valueSize > len(data) {
			return w.damage("a page's elements")
		}
		e.key, e.value = data[at:at+keySize], data[at+keySize:at+keySize+valueSize]
		at += keySize + valueSize
		if last != nil && bytes.Compare(e.key, last) <= 0 || low != nil && bytes.Compare(e.key, low) < 0 || high != nil && bytes.Compare(e.key, high) >= 0 {
			return w.damage("a page's keys")
		}
		last = e.key
		if err := each(e); err != nil {
			return err
		}
	}
	return nil
}

// use marks pages as used. It returns false if they do not exist or are used already.
func (w *walker) use(id, n uint64) bool {
	if id < 2 || id >= w.high || n > w.high-id {
		return false
	}
	for i := id; i < id+n; i++ {
		if w.used[i] {
			return false
		}
		w.used[i] = true
	}
	return true
}

func (w *walker) read(id uint64, size int64) ([]byte, error) {
	data := make([]byte, size)
	if n, err := w.file.ReadAt(data, int64(id)*w.pageSize); n < len(data) {
		if errors.Is(err, io.EOF) {
			return data, nil // zeros, which are not a valid page
		}
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return data, nil
}

// free reads the list of free pages: every page has to be either in it or used.
func (w *walker) free(id uint64) error {
	if id >= w.high {
		return errStructure
	}
	data, err := w.read(id, w.pageSize)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	overflow := uint64(le.Uint32(data[12:]))
	if le.Uint64(data) != id || le.Uint16(data[8:]) != pageFreelist || overflow >= w.high || !w.use(id, 1+overflow) {
		return fmt.Errorf("%w: the list of free pages", errStructure)
	}
	if data, err = w.read(id, w.pageSize*int64(1+overflow)); err != nil {
		return err
	}
	count, at := uint64(le.Uint16(data[10:])), pageHead
	if count == 0xFFFF {
		count, at = le.Uint64(data[at:]), at+8
	}
	if count > w.high || at+int(count)*8 > len(data) {
		return fmt.Errorf("%w: the list of free pages", errStructure)
	}
	for i := range int(count) {
		if !w.use(le.Uint64(data[at+i*8:]), 1) {
			return fmt.Errorf("%w: a page is in use and free", errStructure)
		}
	}
	for page := uint64(2); page < w.high; page++ {
		if !w.used[page] {
			return fmt.Errorf("%w: page %d is neither in use nor free", errStructure, page)
		}
	}
	return nil
}
