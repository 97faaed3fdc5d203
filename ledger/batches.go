package ledger

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/reporterd/reporterd/spool"
)

// BatchRecord is what one batch added to the cells. It is evidence for a difference between the ledger and 3scale's counts.
type BatchRecord struct {
	ID        string
	ServiceID string
	Sealed    time.Time // to the second
	Ambiguous int       // reports of it with an unknown outcome
	End       End       // what receipts showed, where it is not that the batch was counted whole and once
	Cells     []BatchCell
}

// BatchCell is a batch's part of a cell. Ambiguous is the sum over all its ambiguous reports.
type BatchCell struct {
	Hour      time.Time
	AppID     string
	Metric    string
	Delivered int64
	Ambiguous int64
}

// batchRow is a batch's evidence while changes are collected. The database has two values for it: the row itself, and under
// another key the number of ambiguous reports since the row was written. Each of them may have added the same as the first one,
// so that a number is enough: booking one costs the same however many there were.
type batchRow struct {
	service   uint32
	sealed    int64
	ambiguous int   // reports whose shares are in uses
	repeated  int   // further ambiguous reports
	uses      []use // unordered; may contain a cell several times

	stored   int  // bytes of the two values in the database
	unread   bool // the uses are only in the database so far
	rewrite  bool // the row itself changed, not only repeated
	obsolete bool // the database contains a value of repeated without its row
}

// use is what a transaction adds to the cells of one application in one hour, or subtracts from them.
type use struct {
	hour, app uint32
	shares    []share
}

type share struct {
	metric               uint32
	delivered, ambiguous int64
}

// times are the factors by which usage is booked: 1, -1 or 0.
type times struct{ delivered, ambiguous int64 }

// row returns the row of a batch; its uses may still be only in the database.
func (b *booking) row(batch *spool.Batch) *batchRow {
	key := string(batchKey(batch.Sealed.Unix(), batch.ID.String()))
	r := b.batches[key]
	if r != nil {
		return r
	}
	r = &batchRow{service: b.number(nameService, batch.Lane.ServiceID), sealed: batch.Sealed.Unix()}
	b.batches[key] = r
	bucket := b.tx.Bucket(bucketBatches)
	found, repeated := bucket.Get([]byte(key)), bucket.Get(repeatKey(key))
	r.stored, r.obsolete = len(found)+len(repeated), found == nil && repeated != nil
	if found == nil {
		return r
	}
	plain, err := unseal([]byte(key), found, b.strict)
	d := reader{data: plain, bad: err != nil}
	r.head(&d)
	r.unread = true
	if !r.count([]byte(key), repeated, b.strict) || d.bad {
		b.fail(fmt.Errorf("%w: batch %s: %w", errDamaged, batch.ID, errCells))
	}
	return r
}

// count decodes the number of repeated reports. It returns false if it is damaged.
func (r *batchRow) count(key, stored []byte, strict bool) bool {
	if stored == nil {
		return true
	}
	plain, err := unseal(repeatKey(string(key)), stored, strict)
	d := reader{data: plain, bad: err != nil}
	r.repeated = int(d.unsigned())
	return !d.bad
}

// fail keeps the first error, which ends the booking.
func (b *booking) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// addAmbiguous counts one more ambiguous report of a batch, with the transactions as they were sent. Only the first one writes what
// it may have added.
func (b *booking) addAmbiguous(batch *spool.Batch, sent []spool.Transaction) {
	r := b.row(batch)
	if r.ambiguous > 0 {
		r.repeated++
		return
	}
	b.read(batch, r)
	r.ambiguous, r.rewrite = 1, true
	b.addUses(batch, sent, times{ambiguous: 1})
}

// read loads a row's uses into memory, each cell once, with what the repeated reports may have added.
func (b *booking) read(batch *spool.Batch, r *batchRow) {
	if r.unread {
		r.unread = false
		key := batchKey(batch.Sealed.Unix(), batch.ID.String())
		plain, err := unseal(key, b.tx.Bucket(bucketBatches).Get(key), b.strict)
		if err != nil || !r.decode(plain) {
			b.fail(fmt.Errorf("%w: batch %s: %w", errDamaged, batch.ID, errCells))
		}
	}
	r.fold()
}

// fold adds the repeated reports to the uses, and merges uses of the same cell.
func (r *batchRow) fold() {
	if r.ambiguous == 0 || r.repeated == 0 && r.ambiguous == 1 {
		return
	}
	sums := make(map[cellKey]times)
	for _, u := range r.uses {
		for _, s := range u.shares {
			p := cellKey{u.hour, u.app, s.metric}
			sums[p] = times{sums[p].delivered + s.delivered, sums[p].ambiguous + s.ambiguous}
		}
	}
	all := int64(r.ambiguous + r.repeated)
	for p, s := range sums {
		sums[p] = times{s.delivered, s.ambiguous / int64(r.ambiguous) * all} // each report may have added the same
	}
	r.ambiguous, r.repeated, r.rewrite, r.uses = int(all), 0, true, usesOf(sums)
}

// cellKey identifies a cell by numbers; hour is the hour since 1970.
type cellKey struct{ hour, app, metric uint32 }

func (p cellKey) compare(o cellKey) int {
	return cmp.Or(cmp.Compare(p.hour, o.hour), cmp.Compare(p.app, o.app), cmp.Compare(p.metric, o.metric))
}

func usesOf(sums map[cellKey]times) (all []use) {
	for _, p := range slices.SortedFunc(maps.Keys(sums), cellKey.compare) {
		s := share{p.metric, sums[p].delivered, sums[p].ambiguous}
		if last := len(all) - 1; last >= 0 && all[last].hour == p.hour && all[last].app == p.app {
			all[last].shares = append(all[last].shares, s)
			continue
		}
		all = append(all, use{p.hour, p.app, []share{s}})
	}
	return all
}

// repeatKey is the key of the number of repeated ambiguous reports of a batch: directly after the batch.
func repeatKey(key string) []byte { return append([]byte(key), 0) }

// isRepeat reports whether a key is a result of repeatKey. Ids of batches have no zero byte.
func isRepeat(key []byte) bool { return len(key) > 4 && key[len(key)-1] == 0 }

// addUses adds the usage of transactions of a batch to its uses, multiplied by change.
func (b *booking) addUses(batch *spool.Batch, transactions []spool.Transaction, change times) {
	r := b.row(batch)
	r.rewrite = true
	n := 0
	for i := range transactions {
		n += len(transactions[i].Usage)
	}
	shares := make([]share, 0, n)
	for i := range transactions {
		t, first := &transactions[i], len(shares)
		if !b.bookable(batch, t) {
			continue
		}
		for _, u := range t.Usage {
			value := int64(u.Value)
			shares = append(shares, share{b.number(nameMetric, u.Metric), change.delivered * value, change.ambiguous * value})
		}
		app := b.application(r.service, t.Application)
		r.uses = append(r.uses, use{uint32(timeOf(batch, t.Timestamp) / 3600), app, shares[first:len(shares):len(shares)]})
	}
}

// encode writes service, sealed and ambiguous; then for each use its hour, application and number of shares, and for each share:
// metric*2, plus 1 if ambiguous is not zero; delivered; ambiguous if it is not zero.
func (r *batchRow) encode() []byte {
	out := binary.AppendVarint(binary.AppendUvarint(make([]byte, 0, 32*len(r.uses)), uint64(r.service)), r.sealed)
	out = binary.AppendUvarint(out, uint64(r.ambiguous))
	for _, u := range r.uses {
		for _, v := range [...]uint64{uint64(u.hour), uint64(u.app), uint64(len(u.shares))} {
			out = binary.AppendUvarint(out, v)
		}
		for _, s := range u.shares {
			ambiguous := uint64(0)
			if s.ambiguous != 0 {
				ambiguous = 1
			}
			out = binary.AppendVarint(binary.AppendUvarint(out, uint64(s.metric)*2+ambiguous), s.delivered)
			if ambiguous == 1 {
				out = binary.AppendVarint(out, s.ambiguous)
			}
		}
	}
	return out
}

// head decodes the fields before the uses.
func (r *batchRow) head(d *reader) {
	r.service, r.sealed, r.ambiguous = uint32(d.unsigned()), d.signed(), int(d.unsigned())
}

// decode decodes the result of encode. It returns false if data is damaged.
func (r *batchRow) decode(data []byte) bool {
	d := reader{data: data}
	r.head(&d)
	r.uses = nil
	for len(d.data) > 0 && !d.bad {
		u := use{hour: uint32(d.unsigned()), app: uint32(d.unsigned())}
		for n := d.unsigned(); n > 0 && !d.bad; n-- {
			metric := d.unsigned()
			s := share{metric: uint32(metric / 2), delivered: d.signed()}
			if metric&1 == 1 {
				s.ambiguous = d.signed()
			}
			u.shares = append(u.shares, s)
		}
		r.uses = append(r.uses, u)
	}
	return !d.bad
}

// reader decodes varints.
type reader struct {
	data []byte
	bad  bool
}

func (d *reader) unsigned() uint64 {
	v, n := binary.Uvarint(d.data)
	return d.advance(n, v)
}

func (d *reader) signed() int64 {
	v, n := binary.Varint(d.data)
	return int64(d.advance(n, uint64(v)))
}

func (d *reader) advance(n int, v uint64) uint64 {
	if n <= 0 {
		d.bad, d.data = true, nil
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (b *booking) writeBatches() error {
	bucket, change := b.tx.Bucket(bucketBatches), int64(0)
	for _, key := range slices.Sorted(maps.Keys(b.batches)) {
		size, err := b.batches[key].write(bucket, key)
		if err != nil {
			return err
		}
		change += int64(size - b.batches[key].stored)
	}
	return addEvidence(b.tx, change)
}

// write stores the changes of a row, and returns the size of both its values.
func (r *batchRow) write(bucket *bbolt.Bucket, key string) (size int, err error) {
	if r.rewrite {
		r.fold()
		data := seal(nil, []byte(key), r.encode())
		if r.stored > 0 || r.obsolete {
			if err := bucket.Delete(repeatKey(key)); err != nil {
				return 0, err
			}
		}
		return len(data), bucket.Put([]byte(key), data)
	}
	if r.repeated == 0 {
		return r.stored, nil
	}
	data := seal(nil, repeatKey(key), binary.AppendUvarint(nil, uint64(r.repeated)))
	before := len(bucket.Get(repeatKey(key)))
	return r.stored - before + len(data), bucket.Put(repeatKey(key), data)
}

// batchKey orders batches by the hour in which they were sealed.
func batchKey(sealed int64, id string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(max(sealed, 0)/3600)), id...)
}

// pageCells limits how much evidence one transaction of the database reads.
const pageCells = 50_000

// Batches calls each with every batch that was sealed from since on, by the hour, as far back as evidence is kept. An empty
// service selects all services. It ends early with each's error. As with Rows, no transaction is open while each runs, and
// batches that come later may include what is booked meanwhile.
func (l *Ledger) Batches(service string, since time.Time, each func(*BatchRecord) error) error {
	for from := batchKey(since.Unix(), ""); from != nil; {
		var page []*BatchRecord
		err := l.answer(func(tx *bbolt.Tx) (err error) {
			page, from, err = batchPage(tx, service, from)
			return err
		})
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := each(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// batchPage reads batches from a key on, and returns the key of the next page; nil: it was the last.
func batchPage(tx *bbolt.Tx, service string, from []byte) (page []*BatchRecord, next []byte, err error) {
	t := texts{tx: tx, known: make(map[uint32]string)}
	now, err := readState(tx)
	if err != nil {
		return nil, nil, err
	}
	wanted, cells := find(tx, nameService, service), 0
	bucket := tx.Bucket(bucketBatches)
	c := bucket.Cursor()
	for k, v := c.Seek(from); k != nil; k, v = c.Next() {
		if isRepeat(k) {
			continue
		}
		if cells >= pageCells {
			return page, bytes.Clone(k), nil
		}
		var r batchRow
		plain, err := unseal(k, v, now.sealed)
		if err != nil || !r.decode(plain) || !r.count(k, bucket.Get(repeatKey(string(k))), now.sealed) {
			return nil, nil, fmt.Errorf("%w: batch %s: %w", errDamaged, k[4:], errCells)
		}
		cells++
		if service != "" && r.service != wanted {
			continue
		}
		r.fold()
		found := r.record(string(k[4:]), &t)
		page, cells = append(page, found), cells+len(found.Cells)
	}
	return page, nil, nil
}

func (r *batchRow) record(id string, t *texts) *BatchRecord {
	out := &BatchRecord{ID: id, ServiceID: t.text(nameService, r.service), Sealed: time.Unix(r.sealed, 0).UTC(), Ambiguous: r.ambiguous}
	sums := make(map[cellKey]times)
	for i := range r.uses {
		u := &r.uses[i]
		if u.isEnd() {
			out.End.read(u)
			continue
		}
		app := t.application(r.service, u.app) // it may have been booked under a user key
		for _, s := range u.shares {
			p := cellKey{u.hour, app, s.metric}
			sums[p] = times{sums[p].delivered + s.delivered, sums[p].ambiguous + s.ambiguous}
		}
	}
	for p, s := range sums {
		if s == (times{}) {
			continue
		}
		out.Cells = append(out.Cells, BatchCell{
			Hour: time.Unix(int64(p.hour)*3600, 0).UTC(), AppID: t.text(nameApplication, p.app), Metric: t.text(nameMetric, p.metric),
			Delivered: s.delivered, Ambiguous: s.ambiguous,
		})
	}
	return out
}
