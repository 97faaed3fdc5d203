package spool

import (
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// LaneKey names a lane: batches of one service with one set of credentials are delivered in order.
// It is comparable. Zero credentials stand for those configured for the service when it is delivered.
type LaneKey struct {
	ServiceID   string
	Credentials threescale.Credentials
}

// Transaction is one transaction of a batch, and how many accepted events were summed into it.
type Transaction struct {
	threescale.Transaction
	Events uint32
}

// Batch is what becomes one report.
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

// BatchInfo is what the index knows of a live batch without reading it.
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
	Doubts          int       // of those, since the last ClearUnresolved
	Held            bool      // not to be sent, whatever the policy, until an operator decides: see ClearUnresolved
	Attempted       time.Time // the latest; zero: none
	Receipt         string    // what the last report carried to find out its outcome by; empty: none
	Sent            bool      // the backend took that report, and whether it counted it is to be found out by the receipt
	Open            bool      // an attempt is recorded, and nothing about its outcome
}
