package ledger

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/reporterd/reporterd/spool"
)

// namesAtOnce limits how many names one transaction of the database gives numbers: some 30 ms of work.
const namesAtOnce = 20_000

// name is a text that may have no number yet.
type name struct {
	kind byte
	text string
}

func (n name) compare(o name) int {
	return cmp.Or(cmp.Compare(n.kind, o.kind), cmp.Compare(n.text, o.text))
}

// numberNames gives numbers to the names of what was gathered, before it is booked. A page of bbolt's tree is a sorted slice in
// memory until its transaction is written, so names are added in their order and at most namesAtOnce in one transaction: in any
// order, the time of n new names grows with the square of n. Each transaction is durable by itself. If ctx ends between two of
// them, the next start finds the names that have numbers already. A name without figures does no harm.
// It returns the highest number before: until what was gathered is booked, there is no row of an application with a higher one. 0: no
// number was assigned.
func (r *run) numberNames(ctx context.Context) (numbered uint32, err error) {
	for some := range slices.Chunk(r.names.unknown(r), namesAtOnce) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		err := r.update(func(tx *bbolt.Tx) error {
			if numbered == 0 {
				numbered = uint32(tx.Bucket(bucketNumbers).Sequence())
			}
			return r.names.assign(tx, some)
		})
		if err != nil && !errors.Is(err, errNothingNew) {
			return 0, err
		}
	}
	return numbered, nil
}

// unknown returns the names of what was gathered that are not in the cache, in the order of the database, each once. It makes
// space for them in the cache.
func (n *names) unknown(r *run) (all []name) {
	b := &booking{maxName: r.longestName()}
	for i := range r.gathered {
		all = n.unknownOf(b, r.gathered[i].Batch, all)
	}
	slices.SortFunc(all, name.compare)
	all = slices.Compact(all)
	if len(n.known)+len(all) > maxKnownNames && len(n.known) > 0 {
		n.forget()
		return n.unknown(r)
	}
	return all
}

// unknownOf appends the names of a batch that are not in the cache.
func (n *names) unknownOf(b *booking, batch *spool.Batch, all []name) []name {
	add := func(kind byte, text string) {
		if _, known := n.look(kind, text); !known {
			all = append(all, name{kind, text})
		}
	}
	if len(batch.Lane.ServiceID) > b.maxName {
		return all
	}
	add(nameService, batch.Lane.ServiceID)
	for i := range batch.Transactions {
		t := &batch.Transactions[i]
		if !b.bookable(batch, t) {
			continue
		}
		add(nameApplication, ApplicationName(t.Application))
		for _, u := range t.Usage {
			add(nameMetric, u.Metric)
		}
	}
	return all
}

// assign gives numbers to sorted names that have none. It returns errNothingNew, so that nothing is written, if all of them have
// numbers. After any other error, call forget.
func (n *names) assign(tx *bbolt.Tx, some []name) error {
	texts, numbers := tx.Bucket(bucketNames), tx.Bucket(bucketNumbers)
	before := numbers.Sequence()
	fresh := make([]name, 0, len(some))
	existing := finderIn(tx)
	for _, name := range some {
		if number := existing.find(name.kind, name.text); number != 0 {
			n.keep(name.kind, name.text, number)
			continue
		}
		fresh = append(fresh, name)
	}
	if len(fresh) == 0 {
		return errNothingNew
	}
	for i, name := range fresh {
		number := binary.BigEndian.AppendUint32(nil, uint32(before)+uint32(i)+1)
		if err := texts.Put(append([]byte{name.kind}, name.text...), number); err != nil {
			return err
		}
		if err := numbers.Put(append([]byte{name.kind}, number...), []byte(name.text)); err != nil {
			return err
		}
		n.keep(name.kind, name.text, binary.BigEndian.Uint32(number))
	}
	if err := numbers.SetSequence(before + uint64(len(fresh))); err != nil {
		return err
	}
	now, err := readState(tx)
	if err != nil {
		return err
	}
	return now.write(tx)
}
