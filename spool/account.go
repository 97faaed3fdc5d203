package spool

import "encoding/binary"

// AccountKind says what happened to a batch.
type AccountKind uint8

// What happens to batches.
const (
	AccountSealed    AccountKind = iota + 1 // it exists: a cut was committed
	AccountRequeued                         // it exists: it was a dead letter. Was: with the timestamp it had, if another
	AccountAmbiguous                        // a report of it may have been counted
	AccountEnded                            // Children live on, Dead are dead letters, all else was delivered: Late with another timestamp
	AccountLost                             // a damaged disk took it
)

// Account is something that happened to a batch.
type Account struct {
	Kind     AccountKind
	Batch    *Batch
	Children []*Batch
	Dead     []Transaction
	Late     []LateTransaction
	Was      *Transaction
}

// LateTransaction was delivered with another timestamp than its own.
type LateTransaction struct {
	Transaction
	Sent int64 // Unix seconds
}

// AccountPage is what became durable together.
type AccountPage struct {
	Next     uint64 // what Booked takes, once all of it is booked
	Sum      uint32 // of the frame that ends at Next: AccountsAgree takes both
	Accounts []Account
	Missed   bool // something before or in it could not be read, or was given up to make room
}

// role is what an account record says of a transaction.
type role uint8

const (
	roleDead  role = 1 // it is a dead letter now
	roleLate  role = 2 // it was delivered, with another timestamp than its own
	roleMoved role = 3 // of a batch made of a dead letter: what it was, before it got another timestamp
)

// accounted is a transaction with its role. At is Unix seconds: the timestamp that was sent, of roleLate.
type accounted struct {
	role role
	at   int64
	Transaction
}

// appendAccount writes which transactions of a batch become dead letters, and which were sent with another
// timestamp; nothing where neither is so. What was delivered under its own timestamp is the rest.
func appendAccount(dst []byte, batch *Batch, r Resolution) ([]byte, []logged) {
	if batch == nil || len(r.Dead)+len(r.Restamped) == 0 {
		return dst, nil
	}
	all := make([]accounted, 0, len(r.Dead)+len(r.Restamped))
	for _, d := range r.Dead {
		all = append(all, accounted{role: roleDead, Transaction: batch.Transactions[d.Index]})
	}
	for _, i := range r.Restamped {
		all = append(all, accounted{role: roleLate, at: r.At.Unix(), Transaction: batch.Transactions[i]})
	}
	return putAccount(dst, batch.ID, all), []logged{{record: &record{kind: recordAccount, id: batch.ID}}}
}

// appendRestamped writes which timestamp the only transaction of a requeued batch had.
func appendRestamped(dst []byte, records []logged, b *Batch, before int64) ([]byte, []logged) {
	t := b.Transactions[0]
	t.Timestamp = before
	return putAccount(dst, b.ID, []accounted{{role: roleMoved, Transaction: t}}), append(records, logged{record: &record{kind: recordAccount, id: b.ID}})
}

func putAccount(dst []byte, id BatchID, all []accounted) []byte {
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

// parseAccount reads what putAccount wrote, from behind the kind. Strings are views.
func parseAccount(body []byte) (id BatchID, all []accounted, err error) {
	d := &decoder{data: body}
	id = d.id()
	for range d.number(4) {
		a := accounted{role: role(d.byte()), at: d.varint()}
		flags := d.byte()
		a.Events = uint32(d.uvarint())
		d.transaction(flags, &a.Transaction.Transaction)
		all = append(all, a)
	}
	return id, all, d.err
}
