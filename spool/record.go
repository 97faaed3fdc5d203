package spool

import (
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/reporterd/reporterd/spool/wal"
)

// recordHead is the size of a record's head: the length and CRC32C of the body, 4 bytes each. The body's first byte is the kind.
const recordHead = 8

// recordKind is the kind of a record of the batch log.
type recordKind uint8

const (
	recordTotals    recordKind = 1 // first in every frame: the totals before it
	recordBatch     recordKind = 2 // a batch of a cut that is not yet committed
	recordCut       recordKind = 3 // commit point of a cut
	recordAttempt   recordKind = 4
	recordAmbiguous recordKind = 5
	recordAnswered  recordKind = 6
	recordResolved  recordKind = 7
	recordChild     recordKind = 8 // a batch, inside recordResolved
	recordLost      recordKind = 9
	recordMoved     recordKind = 10 // a live batch, copied forward
	recordNote      recordKind = 11 // how many unresolved attempts are left of a batch, and when the latest one was
	recordRequeued  recordKind = 12 // a dead letter, live again as a batch
	recordRequeues  recordKind = 13 // last in every frame since the first of kind 12: how many there were
	recordReceipt   recordKind = 15 // the receipt of a batch's report, and whether the backend accepted that report
	recordAccount   recordKind = 14 // details of transactions for the record about the same batch that follows in the same frame
)

// totalsBytes is the size of a totals record.
const totalsBytes = recordHead + 1 + 7*8

// record is one record of the batch log. The kind determines which fields are set.
type record struct {
	kind recordKind
	id   BatchID // attempt, ambiguous, answered, resolved, lost, note, account, receipt

	committed Position // totals
	counts    Counts   // totals: without Pending; Accepted is a lower bound

	cut     uint64   // batch, cut: which cut it belongs to
	upTo    Position // cut
	batches uint64   // cut: how many there are
	events  uint64   // cut: how many events are in them
	nothing uint64   // cut: how many had nothing to report

	at         int64    // attempt, note: Unix nanoseconds
	unresolved uint32   // note
	delivered  uint64   // resolved, in events
	dead       uint64   // resolved, in events
	letters    uint64   // resolved, dead letter files
	entry      *entry   // batch, moved, requeued
	letter     string   // requeued: the dead letter's id
	receipt    string   // receipt; empty: none any more
	sent       bool     // receipt
	number     uint64   // requeues
	children   []*entry // resolved
}

// openRecord reserves a record's head; closeRecord fills it in.
func openRecord(dst []byte, kind recordKind) []byte {
	return append(append(dst, zeros[:recordHead]...), byte(kind))
}

func closeRecord(dst []byte, start int) []byte {
	body := dst[start+recordHead:]
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(body)))
	binary.LittleEndian.PutUint32(dst[start+4:], crc32.Checksum(body, castagnoli))
	return dst
}

// cutRecord takes the next record off data. body begins with the kind; it is nil if there is no record or it is damaged.
func cutRecord(data []byte) (body, rest []byte) {
	if len(data) < recordHead+1 {
		return nil, nil
	}
	n := int64(binary.LittleEndian.Uint32(data))
	if n < 1 || n > int64(len(data)-recordHead) {
		return nil, nil
	}
	body, rest = data[recordHead:recordHead+n], data[recordHead+n:]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(data[4:]) {
		return nil, rest
	}
	return body, rest
}

// putTotals writes a totals record into dst, which has totalsBytes.
func putTotals(dst []byte, committed Position, c Counts) {
	b := openRecord(dst[:0], recordTotals)
	for _, v := range [...]uint64{uint64(committed), c.Accepted, c.Duplicates, c.Delivered, c.Dead, c.Ambiguous, c.Lost} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	closeRecord(b, 0)
}

func appendID(dst []byte, id BatchID) []byte {
	dst = binary.AppendUvarint(dst, uint64(id.Position))
	dst = binary.AppendUvarint(dst, uint64(id.Index))
	return binary.AppendUvarint(dst, id.Path)
}

func (d *decoder) id() BatchID {
	return BatchID{Position: Position(d.uvarint()), Index: uint32(d.uvarint()), Path: d.uvarint()}
}

// append writes a record that contains no batch.
func (r *record) append(dst []byte) []byte {
	start := len(dst)
	dst = openRecord(dst, r.kind)
	switch r.kind {
	case recordCut:
		for _, v := range [...]uint64{r.cut, uint64(r.upTo), r.batches, r.events, r.nothing} {
			dst = binary.AppendUvarint(dst, v)
		}
	case recordAttempt:
		dst = binary.AppendVarint(appendID(dst, r.id), r.at)
	case recordRequeues:
		dst = binary.AppendUvarint(dst, r.number)
	case recordReceipt:
		dst = appendString(append(appendID(dst, r.id), bit(r.sent)), r.receipt)
	case recordNote:
		dst = binary.AppendVarint(binary.AppendUvarint(appendID(dst, r.id), uint64(r.unresolved)), r.at)
	default:
		dst = appendID(dst, r.id)
	}
	return closeRecord(dst, start)
}

// parseRecord reads a record's body. offset is the position of its head in the frame's payload; entries keep it until apply turns
// it into an offset in the segment.
func (x *index) parseRecord(body []byte, offset int) (*record, error) {
	r := &record{kind: recordKind(body[0])}
	d := &decoder{data: body[1:]}
	switch r.kind {
	case recordTotals:
		r.committed = Position(d.uint64())
		for _, v := range [...]*uint64{&r.counts.Accepted, &r.counts.Duplicates, &r.counts.Delivered, &r.counts.Dead, &r.counts.Ambiguous, &r.counts.Lost} {
			*v = d.uint64()
		}
	case recordRequeues:
		r.number = d.uvarint()
	case recordBatch, recordMoved, recordRequeued:
		r.entry = x.parseEntry(d, r)
		r.entry.offset, r.entry.length = int64(offset), uint32(recordHead+len(body))
	case recordCut:
		r.cut, r.upTo, r.batches = d.uvarint(), Position(d.uvarint()), d.uvarint()
		r.events, r.nothing = d.uvarint(), d.uvarint()
	case recordAttempt:
		r.id, r.at = d.id(), d.varint()
	case recordReceipt:
		r.id, r.sent, r.receipt = d.id(), d.byte() == 1, strings.Clone(d.view())
	case recordNote:
		r.id, r.unresolved, r.at = d.id(), uint32(d.uvarint()), d.varint()
	case recordAmbiguous, recordAnswered, recordLost, recordAccount:
		r.id = d.id()
	case recordResolved:
		x.parseResolved(d, r, body, offset)
	default:
		return nil, errEncoding
	}
	return r, d.err
}

// parseResolved reads the counts, and the children after them.
func (x *index) parseResolved(d *decoder, r *record, body []byte, offset int) {
	r.id, r.delivered, r.dead, r.letters = d.id(), d.uvarint(), d.uvarint(), d.uvarint()
	for range d.number(recordHead) {
		at := offset + recordHead + len(body) - len(d.data)
		child, rest := cutRecord(d.data)
		if child == nil || recordKind(child[0]) != recordChild {
			d.fail()
			return
		}
		cd := &decoder{data: child[1:]}
		e := x.parseEntry(cd, &record{kind: recordChild})
		e.offset, e.length = int64(at), uint32(recordHead+len(child))
		r.children = append(r.children, e)
		d.data = rest
		if cd.err != nil {
			d.fail()
		}
	}
}

// record reads a record of the batch log, without its head, into its own memory. If it is damaged, the error is ErrDamaged.
func (b *batches) record(s *wal.Segment, offset, length int64) ([]byte, error) {
	return b.log.ReadChecked(s, offset, length, func(data []byte) []byte {
		body, _ := cutRecord(data)
		return body
	})
}
