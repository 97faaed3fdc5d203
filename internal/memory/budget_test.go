package memory

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// grow adds bytes to an account, step by step, until it may not.
func grow(a *Account, step int64) int64 {
	for a.Grow(step) {
	}
	return a.Held()
}

// TestLargeAccountsLeaveSpace: each gets no more than what is free beside it, and small ones always get theirs.
func TestLargeAccountsLeaveSpace(t *testing.T) {
	b := New(80<<20, 16<<20)
	const step = 4 << 10
	large := make([]*Account, 100)
	for i := range large {
		large[i] = &Account{Budget: b}
		grow(large[i], step)
	}
	assert.InDelta(t, 32<<20, large[0].Held(), 2*step, "half of what is not reserved")
	assert.InDelta(t, 16<<20, large[1].Held(), 2*step, "half of the rest")
	var all []Account
	for range 1000 {
		all = append(all, Account{Budget: b})
		require.True(t, all[len(all)-1].Grow(Floor))
	}
	small := make([]Account, 150)
	for i := range small {
		small[i].Budget = b
		require.True(t, small[i].Grow(Small), "small account %d", i)
	}
	before := large[1].Held()
	large[0].Release()
	assert.Zero(t, large[0].Held())
	assert.Greater(t, grow(large[1], step), before, "what was released can be used")
	for i := range large {
		large[i].Release()
	}
	for i := range small {
		small[i].Release()
	}
	assert.Zero(t, b.Used())
}

// TestExclusive: one account at a time may exceed the budget.
func TestExclusive(t *testing.T) {
	b := New(1<<20, 0)
	first, second := Account{Budget: b}, Account{Budget: b}
	require.True(t, first.Exclusive(t.Context(), 8<<20))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	assert.False(t, second.Exclusive(ended, 8<<20))
	assert.True(t, second.Exclusive(ended, 1<<10), "it fits beside the first")
	first.Release()
	assert.True(t, second.Exclusive(t.Context(), 8<<20))
	second.Release()
	assert.Zero(t, b.Used())
}

// TestConcurrentAccounts: the budget is never exceeded, and nothing stays behind.
func TestConcurrentAccounts(t *testing.T) {
	b := New(1<<20, 256<<10)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			a := Account{Budget: b}
			for i := range 1000 {
				if !a.Grow(int64(i) * 64) {
					a.Release()
				}
			}
			a.Release()
		})
	}
	all.Wait()
	assert.Zero(t, b.Used())
}
