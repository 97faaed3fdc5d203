package spool

import (
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// LaneKey names a lane: the batches of one service with one set of credentials, which are delivered in order. It is comparable.
// With zero credentials a batch is sent with those configured for the service at delivery.
type LaneKey struct {
	ServiceID   string
	Credentials threescale.Credentials
}

// Transaction is one transaction of a batch, and how many accepted events were summed into it.
type Transaction struct {
	threescale.Transaction
	Events uint32
}

// Batch is the usage of one report.
type Batch struct {
	ID             BatchID // assigned by Cut.Add
	Lane           LaneKey
	FlatUsage      bool
	OldestAccepted time.Time // when the first of its events was accepted; zero: Sealed
	Sealed         time.Time // zero: set by Cut.Add
	Transactions   []Transaction
}

// Events returns how many accepted events are in the batch.
func (b *Batch) Events() uint64 {
	var n uint64
	for i := range b.Transactions {
		n += uint64(b.Transactions[i].Events)
	}
	return n
}

// BatchInfo describes a live batch. It comes from the index in memory, not from the batch's record.
type BatchInfo struct {
	ID              BatchID
	Lane            LaneKey
	FlatUsage       bool
	Transactions    int
	Events          uint64
	Bytes           int   // on disk
	OldestTimestamp int64 // Unix seconds, of its transactions
	NewestTimestamp int64
	OldestAccepted  time.Time
	Sealed          time.Time
	Attempts        int       // recorded by Attempt
	Ambiguous       int       // of those, with an unknown outcome
	Unresolved      int       // of the ambiguous ones, those since the last ClearUnresolved
	Held            bool      // not sent, under any policy, until an operator decides: see ClearUnresolved
	Attempted       time.Time // the latest; zero: none
	Receipt         string    // by which the outcome of the last report can be determined; empty: none
	Sent            bool      // the backend accepted that report; the receipt will tell whether it counted it
	Open            bool      // an attempt is recorded, and its outcome is not
}
