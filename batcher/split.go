package batcher

import (
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// caps close a batch, whichever is reached first.
type caps struct {
	transactions, params, bytes int
}

// cost is what a piece of a report's body adds to it, separators included.
type cost struct {
	params, bytes int
}

func (c caps) allow(k cost) bool { return k.params <= c.params && k.bytes <= c.bytes }

// split cuts transactions, in their order, into runs of which none is above a cap, and hands each to
// emit, which must not keep it, with what it costs. It depends on nothing but its arguments. head is the cost of what stands
// before the transactions in the body.
//
// A transaction that would be above a cap by itself is divided: the parts of its usage become
// transactions of the same application and moment, which count the same. The first part carries the code
// and the number of events. What cannot be divided, one increment of one metric, goes alone, whatever
// its size.
func (c caps) split(head cost, transactions []spool.Transaction, emit func([]spool.Transaction, cost) error) error {
	start, total := 0, head
	for i := range transactions {
		next := total.plus(transactions[i].FormCost(i - start))
		if i > start && (i-start >= c.transactions || !c.allow(next)) {
			if err := emit(transactions[start:i], total); err != nil {
				return err
			}
			start, next = i, head.plus(transactions[i].FormCost(0))
		}
		if i == start && !c.allow(next) && len(transactions[i].Usage) > 1 {
			if err := c.divide(head, transactions[i], emit); err != nil {
				return err
			}
			start, next = i+1, head
		}
		total = next
	}
	if start == len(transactions) {
		return nil
	}
	return emit(transactions[start:], total)
}

// divide emits halves of a transaction that is too large alone, each halved again if need be.
func (c caps) divide(head cost, t spool.Transaction, emit func([]spool.Transaction, cost) error) error {
	first, second := t, t
	half := len(t.Usage) / 2
	first.Usage, second.Usage = t.Usage[:half], t.Usage[half:]
	second.Code, second.Events = 0, 0
	return c.split(head, []spool.Transaction{first, second}, emit)
}

func (k cost) plus(params, bytes int) cost {
	return cost{k.params + params, k.bytes + bytes}
}

// headroom is the room kept for credentials in bytes of the body. They are written when a batch is sent,
// and the configured ones may be longer by then.
const headroom = 4 << 10

// headCost is the cost of what stands before the transactions of a lane's report.
func headCost(l spool.LaneKey) cost {
	var head cost
	head = head.plus(threescale.HeadCost(l.ServiceID, l.Credentials))
	if l.Credentials.IsZero() {
		return head.plus(1, headroom)
	}
	return head
}
