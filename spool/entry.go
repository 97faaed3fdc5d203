package spool

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/threescale"
)

// entry is the index's record of a live batch: about 200 bytes, including its place in the maps.
type entry struct {
	id         BatchID
	lane       *lane
	prev, next *entry // in the lane, in the order of sealing

	segment *wal.Segment // where its record is
	offset  int64        // of the record's head; in the payload until applied, then in the segment
	length  uint32       // of head and body

	transactions uint32
	events       uint64
	oldest       int64 // timestamps, Unix seconds
	newest       int64
	accepted     int64 // Unix nanoseconds
	sealed       int64
	attempts     uint32
	ambiguous    uint32
	unresolved   uint32 // of the ambiguous ones, those that no ClearUnresolved followed; heldBit says that the batch is held
	attempted    int64  // the latest attempt, Unix nanoseconds; 0: none known
	receipt      string // by which the outcome of the last report can be determined; empty: none
	queued       int32  // its index in the lane's heap of ready batches, plus one; 0: it is set aside
	flat         bool
	open         bool // an attempt is recorded, and its outcome is not
	sent         bool // the backend accepted the last report; the receipt will tell whether it counted it
	ending       bool // a record that ends it is being written
	hasLetters   bool // dead letter files were written for it; owned by the call that set ending
}

// lane is a list of entries in the order of sealing.
type lane struct {
	key              LaneKey
	first, last      *entry
	ready            ready // those that are not set aside
	count            int
	events           uint64
	unresolved       int // of count, those with unresolved attempts
	unresolvedEvents uint64
	held             int // of count, those that are held
	heldEvents       uint64
}

// describe returns the entry of a batch.
func (x *index) describe(b *Batch) *entry {
	e := &entry{
		id: b.ID, lane: x.lane(b.Lane), transactions: uint32(len(b.Transactions)), events: b.Events(),
		accepted: b.OldestAccepted.UnixNano(), sealed: b.Sealed.UnixNano(), flat: b.FlatUsage,
	}
	for i := range b.Transactions {
		at := b.Transactions[i].Timestamp
		if i == 0 || at < e.oldest {
			e.oldest = at
		}
		if i == 0 || at > e.newest {
			e.newest = at
		}
	}
	return e
}

// appendBatch writes a batch record of the given kind, with its entry's figures before the transactions.
func appendBatch(dst []byte, kind recordKind, cut uint64, e *entry, transactions []Transaction) []byte {
	start := len(dst)
	return closeRecord(appendBody(openRecord(dst, kind), kind, cut, e, transactions), start)
}

// appendBody writes a batch record without its kind and, for a requeued one, without the letter's id.
func appendBody(dst []byte, kind recordKind, cut uint64, e *entry, transactions []Transaction) []byte {
	switch kind {
	case recordBatch:
		dst = binary.AppendUvarint(dst, cut)
	case recordMoved:
		dst = binary.AppendUvarint(dst, uint64(e.attempts))
		dst = binary.AppendUvarint(dst, uint64(e.ambiguous))
		dst = append(dst, bit(e.open))
	}
	flags := credentialBits(e.lane.key.Credentials)
	if e.flat {
		flags |= bitFlat
	}
	dst = appendString(appendID(append(dst, flags), e.id), e.lane.key.ServiceID)
	dst = appendCredentials(dst, e.lane.key.Credentials)
	for _, v := range [...]int64{e.sealed, e.accepted, e.oldest, e.newest} {
		dst = binary.AppendVarint(dst, v)
	}
	dst = binary.AppendUvarint(dst, e.events)
	dst = binary.AppendUvarint(dst, uint64(len(transactions)))
	for i := range transactions {
		t := &transactions[i]
		dst = binary.AppendUvarint(append(dst, flagsOf(&t.Transaction)), uint64(t.Events))
		dst = appendTransaction(dst, &t.Transaction)
	}
	return dst
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// parseEntry reads a batch record up to its transactions. The lane's strings are copied when it is new.
func (x *index) parseEntry(d *decoder, r *record) *entry {
	e := &entry{}
	switch r.kind {
	case recordBatch:
		r.cut = d.uvarint()
	case recordMoved:
		e.attempts, e.ambiguous, e.open = uint32(d.uvarint()), uint32(d.uvarint()), d.byte() == 1
		e.unresolved = e.ambiguous // unless a note follows
	case recordRequeued:
		r.letter = d.view()
	}
	flags := d.byte()
	e.flat, e.id = flags&bitFlat != 0, d.id()
	key := LaneKey{ServiceID: d.view()}
	key.Credentials = d.credentials(flags)
	e.sealed, e.accepted, e.oldest, e.newest = d.varint(), d.varint(), d.varint(), d.varint()
	e.events = d.uvarint()
	e.transactions = uint32(d.number(4))
	if d.err == nil {
		e.lane = x.lane(key)
	}
	return e
}

// parseBatch reads a whole batch out of a record's body, which must not be changed afterwards.
func (x *index) parseBatch(body []byte) (*Batch, error) {
	d := &decoder{data: body[1:]}
	e := x.parseEntry(d, &record{kind: recordKind(body[0])})
	if d.err != nil {
		return nil, d.err
	}
	info := e.info()
	b := &Batch{
		ID: e.id, Lane: e.lane.key, FlatUsage: e.flat, Sealed: info.Sealed, OldestAccepted: info.OldestAccepted,
		Transactions: make([]Transaction, e.transactions),
	}
	for i := range b.Transactions {
		t := &b.Transactions[i]
		flags := d.byte()
		t.Events = uint32(d.uvarint())
		d.transaction(flags, &t.Transaction)
	}
	return b, d.err
}

// info returns the entry in its exported form.
func (e *entry) info() BatchInfo {
	return BatchInfo{
		ID: e.id, Lane: e.lane.key, FlatUsage: e.flat, Transactions: int(e.transactions), Events: e.events,
		Bytes: int(e.length), OldestTimestamp: e.oldest, NewestTimestamp: e.newest,
		OldestAccepted: time.Unix(0, e.accepted), Sealed: time.Unix(0, e.sealed),
		Attempts: int(e.attempts), Ambiguous: int(e.ambiguous), Unresolved: int(e.unresolved &^ heldBit), Held: e.unresolved&heldBit != 0, Attempted: e.lastAttempt(),
		Receipt: e.receipt, Sent: e.sent, Open: e.open,
	}
}

func (e *entry) lastAttempt() time.Time {
	if e.attempted == 0 {
		return time.Time{}
	}
	return time.Unix(0, e.attempted)
}

// Clone copies the strings of a key, which may be views.
func (k LaneKey) Clone() LaneKey {
	return LaneKey{
		ServiceID: strings.Clone(k.ServiceID),
		Credentials: threescale.Credentials{
			ServiceToken: strings.Clone(k.Credentials.ServiceToken), ProviderKey: strings.Clone(k.Credentials.ProviderKey),
		},
	}
}
