package spool

import "encoding/binary"

// BatchEventKind says what happened to a batch.
type BatchEventKind uint8

// The kinds of events in the life of a batch.
const (
	BatchSealed    BatchEventKind = iota + 1 // a cut that contains it was committed
	BatchRequeued                            // it was made of a dead letter. Was: the transaction with its former timestamp, if that was changed
	BatchAmbiguous                           // the outcome of a report of it is unknown
	BatchEnded                               // Children are live batches, Dead are dead letters, the rest was delivered: Late with another timestamp
	BatchLost                                // its record is damaged
)

// BatchEvent is a change in the life of a batch.
type BatchEvent struct {
	Kind     BatchEventKind
	Batch    *Batch
	Children []*Batch
	Dead     []Transaction
	Late     []LateTransaction
	Was      []Transaction

	Attempted int64 // of BatchAmbiguous: when the report was sent, Unix seconds; 0: not known
}

// LateTransaction was delivered with a timestamp that is not its own.
type LateTransaction struct {
	Transaction
	Sent int64 // Unix seconds
}

// ChangePage contains the events of records that became durable together.
type ChangePage struct {
	Next   uint64 // the sequence number for Booked, once the page is processed
	Sum    uint32 // checksum of the frame that ends at Next: ChangesAgree takes both
	Events []BatchEvent
	Missed bool // something before or in it could not be read, or was removed to free disk space
}

// role is the meaning of a transaction in an account record.
type role uint8

const (
	roleDead  role = 1 // it is a dead letter now
	roleLate  role = 2 // it was delivered, with another timestamp than its own
	roleMoved role = 3 // of a batch made of a dead letter: what it was, before it got another timestamp
)

// changeRecord is a transaction with its role. With roleLate, at is the timestamp that was sent (Unix seconds).
type changeRecord struct {
	role role
	at   int64
	Transaction
}

// appendChange writes which transactions of a batch become dead letters, and which were sent with another timestamp. It writes
// nothing if there are none. All other transactions were delivered with their own timestamp.
func appendChange(dst []byte, batch *Batch, r Resolution) ([]byte, []logged) {
	if batch == nil || len(r.Dead)+len(r.Restamped) == 0 {
		return dst, nil
	}
	all := make([]changeRecord, 0, len(r.Dead)+len(r.Restamped))
	for _, d := range r.Dead {
		all = append(all, changeRecord{role: roleDead, Transaction: batch.Transactions[d.Index]})
	}
	for _, i := range r.Restamped {
		all = append(all, changeRecord{role: roleLate, at: r.At.Unix(), Transaction: batch.Transactions[i]})
	}
	return putChange(dst, batch.ID, all), []logged{{record: &record{kind: recordAccount, id: batch.ID}}}
}

// appendRestamped writes the former timestamps of the transactions of a requeued batch.
func appendRestamped(dst []byte, records []logged, b *Batch, files []letterFile) ([]byte, []logged) {
	moved := make([]changeRecord, len(files))
	for i := range files {
		moved[i] = changeRecord{role: roleMoved, Transaction: b.Transactions[i]}
		moved[i].Timestamp = files[i].Timestamp.Unix()
	}
	return putChange(dst, b.ID, moved), append(records, logged{record: &record{kind: recordAccount, id: b.ID}})
}

func putChange(dst []byte, id BatchID, all []changeRecord) []byte {
	start := len(dst)
	dst = binary.AppendUvarint(appendID(openRecord(dst, recordAccount), id), uint64(len(all)))
	for i := range all {
		dst = binary.AppendVarint(append(dst, byte(all[i].role)), all[i].at)
		dst = append(dst, flagsOf(&all[i].Transaction.Transaction))
		dst = binary.AppendUvarint(dst, uint64(all[i].Events))
		dst = appendTransaction(dst, &all[i].Transaction.Transaction)
	}
	return closeRecord(dst, start)
}

// parseChange reads what putChange wrote, without the kind. Strings are views.
func parseChange(body []byte) (id BatchID, all []changeRecord, err error) {
	d := &decoder{data: body}
	id = d.id()
	for range d.number(4) {
		a := changeRecord{role: role(d.byte()), at: d.varint()}
		flags := d.byte()
		a.Events = uint32(d.uvarint())
		d.transaction(flags, &a.Transaction.Transaction)
		all = append(all, a)
	}
	return id, all, d.err
}
