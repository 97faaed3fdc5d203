// Package memory bounds the memory that clients can make the process use: the bytes of requests whose end has not arrived yet.
package memory

import (
	"context"
	"sync/atomic"
)

const (
	// Floor is how many bytes each account may hold in any case. They are not counted: the number of connections bounds them.
	Floor = 4 << 10

	// Small is how many bytes of an account come out of the reserve that large accounts cannot use.
	Small = 64 << 10
)

// Budget is a number of bytes that accounts share. It is safe for concurrent use.
//
// An account may hold as much as is free beside it. One alone gets half of the budget, two a third each, and so on: however
// many large requests there are, they leave as much free as the largest of them holds. A part of the budget is reserved for
// accounts of at most Small bytes, and Floor bytes of each account are always free.
type Budget struct {
	total, reserve int64
	used           atomic.Int64
	alone          chan struct{} // holds an element while an account is outside the budget, see Exclusive
}

// New returns a budget of total bytes, of which reserve are for accounts of at most Small bytes.
func New(total, reserve int64) *Budget {
	return &Budget{total: total, reserve: reserve, alone: make(chan struct{}, 1)}
}

// Used is how many bytes are held, and Total how many may be.
func (b *Budget) Used() int64 { return b.used.Load() }

// Total is how many bytes may be held.
func (b *Budget) Total() int64 { return b.total }

// Account is what one request holds. Its zero value with a Budget holds nothing. It is not safe for concurrent use.
type Account struct {
	Budget *Budget
	held   int64
	alone  bool
}

// Held is how many bytes the account holds.
func (a *Account) Held() int64 { return a.held }

// Grow adds n bytes to the account. It returns false, and adds nothing, when they are not free for it.
func (a *Account) Grow(n int64) bool {
	b, held := a.Budget, a.held+n
	if held <= Floor {
		a.held = held
		return true
	}
	counted := held - max(a.held, Floor)
	free := b.total - b.used.Add(counted)
	if held > Small {
		free -= b.reserve + held
	}
	if free < 0 {
		b.used.Add(-counted)
		return false
	}
	a.held = held
	return true
}

// Exclusive adds n bytes to the account like Grow. When they are not free for it, it waits until no other account has done the
// same: one account at a time may exceed the budget. It returns false when ctx ends first. It is for memory that is needed for a
// short time, bounded by the process and not by the client.
func (a *Account) Exclusive(ctx context.Context, n int64) bool {
	if a.Grow(n) || a.alone {
		return true
	}
	select {
	case a.Budget.alone <- struct{}{}:
		a.alone = true
		return true
	case <-ctx.Done():
		return false
	}
}

// Release gives back all that the account holds.
func (a *Account) Release() {
	if a.held > Floor {
		a.Budget.used.Add(Floor - a.held)
	}
	a.held = 0
	if a.alone {
		<-a.Budget.alone
		a.alone = false
	}
}
