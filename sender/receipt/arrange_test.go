package receipt

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// placesOf are where an arrangement has the receipts, by application; -1: nowhere.
func placesOf(items []Item) [Applications]int {
	places := [Applications]int{-1, -1, -1, -1}
	for at, item := range items {
		if item.Index < 0 {
			places[item.Receipt] = at
		}
	}
	return places
}

func TestReceiptsStandAtTheHeadsOfSlices(t *testing.T) {
	for n, want := range map[int][Applications]int{
		1: {0, -1, -1, 2}, 10: {0, -1, -1, 11}, 398: {0, -1, -1, 399},
		399: {0, 400, -1, 401}, 400: {0, 400, -1, 402}, 797: {0, 400, -1, 799}, 798: {0, 400, 800, 801}, 996: {0, 400, 800, 999},
	} {
		items := Arrange(n, func(i int) int { return i })
		require.NotNil(t, items, n)
		assert.Equal(t, want, placesOf(items), n)
		assert.LessOrEqual(t, len(items), 1000)
	}
	assert.Nil(t, Arrange(997, func(i int) int { return i }), "no room for four receipts")
	assert.Nil(t, Arrange(0, func(i int) int { return i }))
	assert.Nil(t, Arrange(600, func(int) int { return 1 }), "one application fills a slice: no receipt can stand at the head of the next")
}

// However many transactions applications have: each transaction stands there once, those of an application together,
// and each slice of what the backend makes of it begins with a receipt.
func TestArrangementsAreWhatTheBackendWrites(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	arranged := 0
	for range 2000 {
		n, applications := 1+random.IntN(MostTransactions), 1+random.IntN(900)
		of := make([]int, n)
		for i := range of {
			of[i] = random.IntN(applications)
		}
		items := Arrange(n, func(i int) int { return of[i] })
		if items == nil {
			continue
		}
		arranged++
		seen := make(map[int]bool)
		var order []int // application by application, a receipt as -1 - its number
		for _, item := range items {
			a := -1 - item.Receipt
			if item.Index >= 0 {
				require.False(t, seen[item.Index])
				seen[item.Index] = true
				a = of[item.Index]
			}
			if len(order) == 0 || order[len(order)-1] != a {
				order = append(order, a)
			}
		}
		require.Len(t, seen, n)
		once := make(map[int]bool)
		for _, a := range order {
			require.False(t, once[a], "the backend would group application %d otherwise", a)
			once[a] = true
		}
		if len(items) > sliceSize {
			for at := 0; at < len(items); at += sliceSize {
				require.Less(t, items[at].Index, 0, "no receipt at %d of %d", at, len(items))
			}
		}
		require.Equal(t, Item{-1, Last}, items[len(items)-1])
	}
	assert.Greater(t, arranged, 1000)
}

func TestReceiptsAreWrittenAndRead(t *testing.T) {
	r := Receipt{Metric: 15, Place: 15, Mask: 1<<First | 1<<Last, Base: [Applications]uint64{First: Most - 1, Last: 7}}
	again, err := Parse(r.Append(nil))
	require.NoError(t, err)
	assert.Equal(t, r, again)
	assert.EqualValues(t, 1<<30, r.Increment())
	for _, bad := range [][]byte{nil, {1}, {2, 0, 0, 1, 0}, {1, 0, 16, 1, 0}, {1, 0, 0, 0}, {1, 0, 0, 16, 0}, {1, 0, 0, 1}, {1, 0, 0, 1, 0, 0}} {
		_, err := Parse(bad)
		assert.Error(t, err, bad)
	}
}

// TestSmallReportsNeedTheFirstReceipt: what a report of ten transactions shows whose slice is written in part, with the last receipt
// alone and with both. A worker is killed inside the slice: the last one alone would have the report sent again, and its beginning
// counted twice. The database restarts inside the slice, which is written again: the last one alone would call it counted.
func TestSmallReportsNeedTheFirstReceipt(t *testing.T) {
	for _, c := range []struct {
		mask            Mask
		killed, doubled End
	}{
		{1 << Last, Dropped, Counted}, // both are wrong
		{Carries(10), Partial, Double},
	} {
		b := newBench(t, 2)
		allot := func(id string) Receipt {
			r, ok := b.Allot(id, c.mask, b.now, b.now.Add(24*time.Hour))
			require.True(t, ok)
			b.now = b.now.Add(time.Millisecond)
			return r
		}
		doubled := allot("doubled")
		b.counted(doubled, First) // the beginning of the slice, before the restart
		b.counted(doubled)        // all of it, after the restart
		b.after(time.Second)
		b.after(7 * time.Second)
		assert.Equal(t, c.doubled, b.ends()["doubled"])
		b.Close("doubled", c.doubled, b.now)
		b.counted(allot("killed"), First)
		for n := range links + 1 {
			b.after(6 * time.Minute)
			b.counted(allot(fmt.Sprint(n)))
			b.after(10 * time.Second)
		}
		b.after(10 * time.Second)
		assert.Equal(t, c.killed, b.ends()["killed"])
	}
}
