package batcher

import (
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// caps are the limits of a batch; the first one reached closes it.
type caps struct {
	transactions, params, bytes int
}

// cost is the size of a part of a report's body, separators included.
type cost struct {
	params, bytes int
}

func (c caps) allow(k cost) bool { return k.params <= c.params && k.bytes <= c.bytes }

// split divides transactions, in their order, into runs within the caps, and calls emit with each run and its cost; emit must not
// keep the slice. The result depends only on the arguments. head is the cost of the body before the transactions.
//
// A transaction that exceeds a cap alone is divided: the parts of its usage become transactions of the same application and
// timestamp. The first part has the response code and the number of events. A single increment cannot be divided, and is emitted
// alone, at any size.
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

// divide emits halves of a transaction that is too large alone, recursively.
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

// headroom is how many bytes of the body are reserved for credentials. They are written when a batch is sent, and the configured
// ones may be longer by then.
const headroom = 4 << 10

// headCost returns the cost of the body before the transactions of a lane's report.
func headCost(l spool.LaneKey) cost {
	var head cost
	head = head.plus(threescale.HeadCost(l.ServiceID, l.Credentials))
	if l.Credentials.IsZero() {
		return head.plus(1, headroom)
	}
	return head
}
