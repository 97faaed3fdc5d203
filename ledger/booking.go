package ledger

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

const hoursOfDay = 24

// row is the key of a row of the days: all hours and metrics of an application on a day.
type row struct{ day, service, app uint32 }

func (r row) key() []byte {
	key := binary.BigEndian.AppendUint32(nil, r.day)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(key, r.service), r.app)
}

func (r row) compare(o row) int {
	return cmp.Or(cmp.Compare(r.day, o.day), cmp.Compare(r.service, o.service), cmp.Compare(r.app, o.app))
}

// change collects the changes of one transaction to a row. Usually there are few cells, and a linear search is faster than a map.
type change struct {
	cells   []cell
	indexes map[uint64]int // index of each cell, once there are many
}

const fewCells = 24

func (c *change) add(metric uint32, hour uint8, f Figures) {
	if c.indexes == nil && len(c.cells) <= fewCells {
		for i := range c.cells {
			if at := &c.cells[i]; at.metric == metric && at.hour == hour {
				at.add(f)
				return
			}
		}
		c.cells = append(c.cells, cell{metric, hour, f})
		return
	}
	if c.indexes == nil {
		c.indexes = make(map[uint64]int)
		for i := range c.cells {
			c.indexes[c.cells[i].key()] = i
		}
	}
	added := cell{metric, hour, f}
	if i, known := c.indexes[added.key()]; known {
		c.cells[i].add(f)
		return
	}
	c.indexes[added.key()] = len(c.cells)
	c.cells = append(c.cells, added)
}

func (c *cell) key() uint64 { return uint64(c.metric)<<8 | uint64(c.hour) }

// booking collects the changes of one transaction of the database. It is for one goroutine.
type booking struct {
	tx      *bbolt.Tx
	names   *names
	changes map[row]*change
	slab    []change             // changes that are not used yet
	cells   []cell               // a first cell for each of them
	made    int                  // size of the last slab
	sums    row                  // the row of all applications together that was changed last
	sum     *change              // the change of that row
	batches map[string]*batchRow // by their keys

	end      func(spool.BatchID) End // nil: there are no receipts
	unbooked unbooked                // usage that does not fit into the database
	strict   bool                    // every value has a checksum
	numbered uint32                  // the database has no row of an application with a higher number; 0: unknown
	maxName  int                     // bytes
	err      error                   // the first error
}

// longestName returns the maximum length of a name in bytes.
func (r *run) longestName() int {
	if r.maxName > 0 {
		return r.maxName
	}
	return maxName
}

// newBooking returns a booking for one transaction of the database.
func (r *run) newBooking(tx *bbolt.Tx, n *names) *booking {
	now, err := readState(tx)
	return &booking{tx: tx, err: err, strict: now.sealed, names: n, changes: make(map[row]*change), batches: make(map[string]*batchRow), maxName: r.longestName(), end: r.options.End}
}

// event books one event of a batch.
func (b *booking) event(a *spool.BatchEvent) {
	b.countUnbooked(a)
	if len(a.Batch.Lane.ServiceID) > b.maxName {
		return
	}
	all := func(change Figures) { b.batch(a.Batch, change) }
	switch a.Kind {
	case spool.BatchSealed:
		all(Figures{Accepted: 1})
	case spool.BatchRequeued:
		b.requeued(a)
	case spool.BatchAmbiguous:
		sent := asSent(a)
		for i := range sent {
			b.transaction(a.Batch, &sent[i], sent[i].Timestamp, Figures{Ambiguous: 1})
		}
		b.addAmbiguous(a.Batch, sent)
	case spool.BatchLost:
		all(Figures{Lost: 1})
	case spool.BatchEnded:
		b.ended(a)
	}
}

// restampedFrom is the age in seconds from which on a transaction is sent with the time of the attempt, if it is sent: 3scale takes
// none that is older than 24 h, and the sender keeps a minute of that.
const restampedFrom = 24*3600 - 60

// asSent are the transactions of an ambiguous report with the timestamps that were sent: 3scale counts them by these.
func asSent(a *spool.BatchEvent) []spool.Transaction {
	all := a.Batch.Transactions
	for i := range all {
		if at := timeOf(a.Batch, all[i].Timestamp); a.Attempted == 0 || a.Attempted-at < restampedFrom {
			continue
		}
		if &all[0] == &a.Batch.Transactions[0] {
			all = slices.Clone(all)
		}
		all[i].Timestamp = a.Attempted
	}
	return all
}

// requeued moves usage of dead letters to pending. If it will be sent with another timestamp, its hour changes.
func (b *booking) requeued(a *spool.BatchEvent) {
	if len(a.Was) == 0 {
		b.batch(a.Batch, Figures{Dead: -1})
		return
	}
	for i := range a.Was {
		b.transaction(a.Batch, &a.Was[i], a.Was[i].Timestamp, Figures{Dead: -1, Accepted: -1})
	}
	b.batch(a.Batch, Figures{Accepted: 1, Restamped: 1})
}

// ended books how the transactions of a batch ended: those that are neither dead nor in a child were delivered.
func (b *booking) ended(a *spool.BatchEvent) {
	end := b.endOf(a.Batch)
	delivered := end.figures().plus(Figures{Delivered: 1})
	not := delivered.times(-1)
	b.batch(a.Batch, delivered)
	for _, child := range a.Children {
		b.batch(child, not)
	}
	for i := range a.Dead {
		b.transaction(a.Batch, &a.Dead[i], a.Dead[i].Timestamp, not.plus(Figures{Dead: 1}))
	}
	for i := range a.Late {
		t := &a.Late[i]
		b.transaction(a.Batch, &t.Transaction, t.Timestamp, not.plus(Figures{Accepted: -1}))
		b.transaction(a.Batch, &t.Transaction, t.Sent, delivered.plus(Figures{Accepted: 1, Restamped: 1}))
	}
	if len(a.Dead) == len(a.Batch.Transactions) {
		return
	}
	b.read(a.Batch, b.row(a.Batch))
	b.addUses(a.Batch, a.Batch.Transactions, times{delivered: 1})
	for _, child := range a.Children {
		b.addUses(a.Batch, child.Transactions, times{delivered: -1})
	}
	b.addUses(a.Batch, a.Dead, times{delivered: -1})
	for i := range a.Late {
		moved := a.Late[i].Transaction
		b.addUses(a.Batch, []spool.Transaction{moved}, times{delivered: -1})
		moved.Timestamp = a.Late[i].Sent
		b.addUses(a.Batch, []spool.Transaction{moved}, times{delivered: 1})
	}
	if u, named := end.use(); named {
		r := b.row(a.Batch)
		r.uses = append(r.uses, u)
	}
}

func (b *booking) batch(batch *spool.Batch, change Figures) {
	for i := range batch.Transactions {
		t := &batch.Transactions[i]
		b.transaction(batch, t, t.Timestamp, change)
	}
}

// transaction books the change, multiplied by the usage of a transaction, in the hour of a time.
func (b *booking) transaction(batch *spool.Batch, t *spool.Transaction, at int64, change Figures) {
	if !b.bookable(batch, t) {
		return
	}
	at = timeOf(batch, at)
	day, hour := uint32(at/86400), uint8(at/3600%hoursOfDay)
	service := b.number(nameService, batch.Lane.ServiceID)
	app := b.application(service, t.Application)
	own, all := b.change(row{day, service, app}), b.all(row{day, service, 0})
	for _, u := range t.Usage {
		n := int64(u.Value)
		metric := b.number(nameMetric, u.Metric)
		times := change.times(n)
		own.add(metric, hour, times)
		all.add(metric, hour, times)
	}
}

func (b *booking) change(r row) *change {
	c := b.changes[r]
	if c == nil {
		c = b.newChange()
		b.changes[r] = c
	}
	return c
}

// mostAtOnce limits how many changes are allocated at once.
const mostAtOnce = 1024

// newChange returns an empty change. Changes are allocated in slabs, since a window may change a row for each of 200,000 applications.
func (b *booking) newChange() *change {
	if len(b.slab) == 0 {
		b.made = min(max(16, 2*b.made), mostAtOnce)
		b.slab, b.cells = make([]change, b.made), make([]cell, b.made)
	}
	c := &b.slab[0]
	c.cells = b.cells[:0:1]
	b.slab, b.cells = b.slab[1:], b.cells[1:]
	return c
}

// all is change for the row of all applications together; it caches the last one.
func (b *booking) all(r row) *change {
	if b.sum == nil || b.sums != r {
		b.sums, b.sum = r, b.change(r)
	}
	return b.sum
}

// timeOf returns the time for which a transaction counts: its timestamp, or the time its batch was sealed.
func timeOf(batch *spool.Batch, at int64) int64 {
	if at <= 0 {
		at = batch.Sealed.Unix()
	}
	return max(at, 0)
}

func (b *booking) number(kind byte, text string) uint32 {
	number, err := b.names.number(b.tx, kind, text)
	if err != nil && b.err == nil {
		b.err = err
	}
	return number
}

// application returns the number of an application of a service: that of its id, as far as it is known.
func (b *booking) application(service uint32, a threescale.Application) uint32 {
	number := b.number(nameApplication, ApplicationName(a))
	if a.UserKey == "" || b.err != nil {
		return number
	}
	return b.names.application(b.tx, aliasKey{service, number})
}

// stopEvery is after how many rows a booking looks whether it is to end.
const stopEvery = 1000

// daysFill is how full a page of rows is that was split. Rows come in their order, and bbolt's half takes nearly twice the room.
const daysFill = 0.9

// rowChange is a row and its change.
type rowChange struct {
	row
	*change
}

// write writes the rows in order, since neighbours share pages. When ctx ends, it returns its error.
func (b *booking) write(ctx context.Context) error {
	if b.err != nil {
		return b.err
	}
	order := make([]rowChange, 0, len(b.changes))
	for r, c := range b.changes {
		order = append(order, rowChange{r, c})
	}
	slices.SortFunc(order, func(a, b rowChange) int { return a.compare(b.row) })
	w := rowWriter{days: b.tx.Bucket(bucketDays), strict: b.strict, numbered: b.numbered}
	w.days.FillPercent = daysFill
	for i, r := range order {
		if i%stopEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := w.write(r); err != nil {
			return err
		}
	}
	return b.writeBatches()
}
