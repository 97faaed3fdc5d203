package jetdisk

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sort"
	"strconv"
	"sync"
)

// node is a file, independent of its name.
type node struct {
	id uint64 // the sequence number of its create

	syncing sync.Mutex // held while a message is written or the file is sealed, so that this happens one after the other

	mu      sync.Mutex // guards the fields below
	last    uint64     // sequence number of the subject's last message
	size    int64
	resized bool     // the size was changed since the last message
	low     int64    // the smallest size since then
	extents []extent // sorted, without overlaps; bytes in between are zero
	failed  error    // to write a message: the content is unknown from then on
	data    uint64   // sequence number of the only message with data; 0: there is none; several: there are more
	sealed  bool     // the directory says that the content is in one message at most, and that no owner writes to it
	unread  bool     // the message of a sealed file was not read: extents is empty
}

// extent is a part of a file: in a message, or not synced yet.
type extent struct {
	off, end int64
	data     []byte // not synced yet; else nil
	seq      uint64 // sequence number of the message
	at       int    // offset in its body
}

func (n *node) subject(d *Disk) string { return d.o.Prefix + ".f." + strconv.FormatUint(n.id, 10) }

func (n *node) length() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.size
}

// putLocked adds an extent, which replaces what it overlaps.
func (n *node) putLocked(e extent) {
	n.size = max(n.size, e.end)
	if last := len(n.extents) - 1; last < 0 || n.extents[last].end <= e.off {
		n.extents = append(n.extents, e)
		return
	}
	from := sort.Search(len(n.extents), func(i int) bool { return n.extents[i].end > e.off })
	to := from
	for to < len(n.extents) && n.extents[to].off < e.end {
		to++
	}
	pieces := []extent{e}
	if to > from {
		if first := n.extents[from]; first.off < e.off {
			pieces = []extent{first.cut(first.off, e.off), e}
		}
		if last := n.extents[to-1]; last.end > e.end {
			pieces = append(pieces, last.cut(e.end, last.end))
		}
	}
	n.extents = slices.Replace(n.extents, from, to, pieces...)
}

// cut returns a part of an extent.
func (e extent) cut(off, end int64) extent {
	skip := int(off - e.off)
	if e.data != nil {
		e.data = e.data[skip : skip+int(end-off)]
	} else {
		e.at += skip
	}
	e.off, e.end = off, end
	return e
}

// resizeLocked sets the size.
func (n *node) resizeLocked(size int64) {
	if size < n.size {
		for i := len(n.extents) - 1; i >= 0 && n.extents[i].end > size; i-- {
			if n.extents[i].off >= size {
				n.extents = n.extents[:i]
			} else {
				n.extents[i] = n.extents[i].cut(n.extents[i].off, size)
			}
		}
	}
	n.size = size
	n.low = min(n.low, size)
}

// file is an open file.
type file struct {
	disk *Disk
	node *node
	name string
}

// WriteAt implements disk.File.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if err := f.disk.load(f.node); err != nil {
		return 0, pathError("write", f.name, err)
	}
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	if f.node.failed != nil {
		return 0, pathError("write", f.name, f.node.failed)
	}
	if len(p) > 0 {
		f.node.putLocked(extent{off: off, end: off + int64(len(p)), data: slices.Clone(p)})
	}
	return len(p), nil
}

// Truncate implements disk.File.
func (f *file) Truncate(size int64) error {
	if err := f.disk.load(f.node); err != nil {
		return pathError("truncate", f.name, err)
	}
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	f.node.resizeLocked(size)
	f.node.resized = true
	return nil
}

// Allocate implements disk.File. It reserves nothing: the stream's limit is shared.
func (f *file) Allocate(size int64) error { return f.Truncate(size) }

// Size implements disk.File.
func (f *file) Size() (int64, error) { return f.node.length(), nil }

// Close implements disk.File. Unsynced data stays in memory, as in a page cache.
func (f *file) Close() error { return nil }

// Sync implements disk.File. It writes one message, or several if the data does not fit into one.
func (f *file) Sync() error {
	n := f.node
	n.syncing.Lock()
	defer n.syncing.Unlock()
	for {
		body, pieces, last, err := n.gather(f.disk.o.Message)
		if err == nil && body == nil {
			return pathError("sync", f.name, f.disk.Dead())
		}
		if err == nil {
			err = errors.Join(f.disk.Dead(), f.disk.reopen(n))
		}
		var seq uint64
		if err == nil {
			seq, err = f.disk.publish(n.subject(f.disk), last, body)
		}
		n.settle(seq, pieces, err)
		if errors.Is(err, ErrFenced) {
			f.disk.setDead(err)
		}
		if err != nil {
			return pathError("sync", f.name, err)
		}
		f.disk.cache.put(seq, body)
	}
}

func (d *Disk) setDead(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead == nil {
		d.dead = err
	}
}

// A message's body: the size of the file, the smallest size since the previous message, the number of pieces, offset and length of
// each, then the pieces. Numbers are uvarints.

// pieceHead is the most bytes that a piece takes beside its data.
const pieceHead = 2 * binary.MaxVarintLen64

// piece is a part of a body.
type piece struct {
	extent
	data []byte
}

// gather makes the body of the next message from as much unsynced data as fits. body is nil if everything is synced.
func (n *node) gather(most int) (body []byte, pieces []piece, last uint64, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed != nil {
		return nil, nil, 0, n.failed
	}
	for i, bytes := 0, 0; i < len(n.extents) && bytes < most; i++ {
		e := n.extents[i]
		if e.data == nil {
			continue
		}
		bytes += pieceHead
		if room := int64(max(1, most-bytes)); e.end-e.off > room {
			rest := e.cut(e.off+room, e.end)
			e = e.cut(e.off, e.off+room)
			n.extents = slices.Replace(n.extents, i, i+1, e, rest)
		}
		pieces = append(pieces, piece{e, e.data})
		bytes += len(e.data)
	}
	if len(pieces) == 0 && !n.resized {
		return nil, nil, 0, nil
	}
	body = binary.AppendUvarint(nil, uint64(n.size))
	body = binary.AppendUvarint(body, uint64(min(n.low, n.size)))
	n.resized, n.low = false, n.size
	body = binary.AppendUvarint(body, uint64(len(pieces)))
	for _, p := range pieces {
		body = binary.AppendUvarint(binary.AppendUvarint(body, uint64(p.off)), uint64(len(p.data)))
	}
	for i := range pieces {
		pieces[i].at = len(body)
		body = append(body, pieces[i].data...)
	}
	return body, pieces, n.last, nil
}

// settle records where the pieces are stored, unless they were overwritten in the meantime; or that the file failed.
func (n *node) settle(seq uint64, pieces []piece, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		n.failed = err
		return
	}
	n.last = seq
	n.countLocked(seq)
	for _, p := range pieces {
		i := sort.Search(len(n.extents), func(i int) bool { return n.extents[i].end > p.off })
		for ; i < len(n.extents) && n.extents[i].off < p.end; i++ {
			e := &n.extents[i]
			if e.data == nil || e.off < p.off || e.end > p.end || &e.data[0] != &p.data[e.off-p.off] {
				continue
			}
			e.data, e.seq, e.at = nil, seq, p.at+int(e.off-p.off)
		}
	}
}

// countLocked counts a message with data.
func (n *node) countLocked(seq uint64) {
	if n.data == 0 {
		n.data = seq
	} else {
		n.data = several
	}
}

var errBody = errors.New("not a message of a file")

// loadLocked applies a message that was read. If it is none of a file, nothing is changed. Only a takeover, before the disk is in use,
// calls it without mu.
func (n *node) loadLocked(seq uint64, body []byte) error {
	var head [3]uint64
	at := 0
	for i := range head {
		v, n := binary.Uvarint(body[at:])
		if n <= 0 {
			return errBody
		}
		head[i], at = v, at+n
	}
	size, low, count := head[0], head[1], head[2]
	if count > uint64(len(body)) || size > 1<<60 || low > size {
		return errBody
	}
	pieces := make([]extent, count)
	for i := range pieces {
		off, a := binary.Uvarint(body[at:])
		length, b := binary.Uvarint(body[at+max(a, 0):])
		if a <= 0 || b <= 0 || length > uint64(len(body)) || off > 1<<60 {
			return errBody
		}
		at += a + b
		pieces[i] = extent{off: int64(off), end: int64(off + length), seq: seq}
	}
	for i := range pieces {
		pieces[i].at = at
		at += int(pieces[i].end - pieces[i].off)
		if at > len(body) {
			return errBody
		}
	}
	if at != len(body) {
		return errBody
	}
	n.resizeLocked(int64(low))
	for _, e := range pieces {
		n.putLocked(e)
	}
	n.size, n.low, n.last = int64(size), int64(size), seq
	n.countLocked(seq)
	return nil
}

// ReadAt implements disk.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	n := f.node
	if err := f.disk.load(n); err != nil {
		return 0, pathError("read", f.name, err)
	}
	n.mu.Lock()
	size := n.size
	length := int(max(0, min(int64(len(p)), size-off)))
	from := sort.Search(len(n.extents), func(i int) bool { return n.extents[i].end > off })
	var parts []extent
	for i := from; i < len(n.extents) && n.extents[i].off < off+int64(length); i++ {
		parts = append(parts, n.extents[i])
	}
	n.mu.Unlock()
	clear(p[:length])
	for _, e := range parts {
		from, to := max(e.off, off), min(e.end, off+int64(length))
		e = e.cut(from, to)
		data := e.data
		if data == nil {
			body, err := f.disk.message(e.seq)
			if err != nil {
				return 0, pathError("read", f.name, err)
			}
			if e.at+int(to-from) > len(body) {
				return 0, pathError("read", f.name, errBody)
			}
			data = body[e.at : e.at+int(to-from)]
		}
		copy(p[from-off:], data)
	}
	if length < len(p) {
		return length, io.EOF
	}
	return length, nil
}
