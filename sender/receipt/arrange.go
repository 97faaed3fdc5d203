package receipt

// sliceSize is how many transactions the backend's worker writes at once.
const sliceSize = 400

// OneSlice is how many transactions a report has room for whose receipts are the first and the last alone.
const OneSlice = sliceSize - 2

// MostTransactions is how many transactions of at most 1000 are left for usage, beside the receipts.
const MostTransactions = 1000 - Applications

// Item is one transaction of a report: one of those that were given, or a receipt.
type Item struct {
	Index   int // which of those that were given; -1: a receipt
	Receipt int // which application
}

// Carries says which receipt applications a report of n transactions needs: the last one, which shows that it was written whole,
// and one at the head of each slice. The first is there in the smallest report: without it, one that does not move may be
// counted in part, and could never be sent again; nor would a beginning be seen that was written twice (TestSmallReportsNeedTheFirstReceipt).
func Carries(n int) Mask {
	switch {
	case n+2 <= sliceSize:
		return 1<<First | 1<<Last
	case n+3 <= 2*sliceSize:
		return 1<<First | 1<<Second | 1<<Last
	}
	return 1<<First | 1<<Second | 1<<Third | 1<<Last
}

// Arrange orders the transactions of a report, receipts included: those of one application stand together, as the backend
// groups them, and receipts at the head of each slice and at the end. application names the application of each of n
// transactions. It returns nil when no order has a receipt exactly there, because one application has too many
// transactions, or there are more than MostTransactions: the report must be divided.
func Arrange[A comparable](n int, application func(int) A) []Item {
	if n == 0 || n > MostTransactions {
		return nil
	}
	groups, mask := groupsOf(n, application), Carries(n)
	items := make([]Item, 0, n+Applications)
	for head := First; head < Last; head++ {
		if !mask.Has(head) {
			continue
		}
		items = append(items, Item{-1, head})
		room := n // of the last slice: the rest
		if head+1 < Last && mask.Has(head+1) {
			room = sliceSize - 1
		}
		room = fill(&items, groups, room)
		if head+1 < Last && mask.Has(head+1) && room > 0 {
			return nil
		}
	}
	fill(&items, groups, n)
	return append(items, Item{-1, Last})
}

// groupsOf are the transactions by application, in the order of first appearance.
func groupsOf[A comparable](n int, application func(int) A) [][]int {
	at := make(map[A]int)
	var groups [][]int
	for i := range n {
		a := application(i)
		g, known := at[a]
		if !known {
			g = len(groups)
			at[a], groups = g, append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}

// fill takes whole groups while they fit, and returns the room that is left.
func fill(items *[]Item, groups [][]int, room int) int {
	for g, group := range groups {
		if len(group) > room {
			continue
		}
		for _, i := range group {
			*items = append(*items, Item{Index: i})
		}
		room -= len(group)
		groups[g] = nil
	}
	return room
}
