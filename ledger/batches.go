package ledger

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/reporterd/reporterd/spool"
)

// BatchRecord is what one batch added to the cells: evidence for a difference between them and 3scale's counts.
type BatchRecord struct {
	ID        string
	ServiceID string
	Sealed    time.Time // to the second
	Ambiguous int       // reports of it with an unknown outcome
	Cells     []BatchCell
}

// BatchCell is a batch's part of a cell. Ambiguous is for all its ambiguous reports together.
type BatchCell struct {
	Hour      time.Time
	AppID     string
	Metric    string
	Delivered int64
	Ambiguous int64
}

// batchRow is a batch while changes are collected.
type batchRow struct {
	service   uint32
	sealed    int64
	ambiguous int
	cells     map[batchPlace]share
}

type batchPlace struct{ hour, app, metric uint32 }

type share struct{ delivered, ambiguous int64 }

// row returns what is known of a batch.
func (b *booking) row(batch *spool.Batch) *batchRow {
	key := string(batchKey(batch.Sealed.Unix(), batch.ID.String()))
	r := b.batches[key]
	if r == nil {
		r = &batchRow{service: b.number(nameService, batch.Lane.ServiceID), sealed: batch.Sealed.Unix(), cells: make(map[batchPlace]share)}
		if found := b.tx.Bucket(bucketBatches).Get([]byte(key)); found != nil {
			if !r.decode(found) && b.err == nil {
				b.err = fmt.Errorf("ledger: batch %s: %w", batch.ID, errCells)
			}
		}
		b.batches[key] = r
	}
	return r
}

// vector adds what transactions of a batch were, times a change.
func (b *booking) vector(batch *spool.Batch, transactions []spool.Transaction, change share) {
	r := b.row(batch)
	for i := range transactions {
		t := &transactions[i]
		p := batchPlace{hour: uint32(stamped(batch, t.Timestamp) / 3600), app: b.number(nameApplication, ApplicationName(t.Application))}
		for _, u := range t.Usage {
			p.metric = b.number(nameMetric, u.Metric)
			s := r.cells[p]
			s.delivered += change.delivered * int64(u.Value)
			s.ambiguous += change.ambiguous * int64(u.Value)
			r.cells[p] = s
		}
	}
}

func (r *batchRow) encode() []byte {
	out := binary.AppendVarint(binary.AppendUvarint(nil, uint64(r.service)), r.sealed)
	out = binary.AppendUvarint(out, uint64(r.ambiguous))
	for p, s := range r.cells {
		if s == (share{}) {
			continue
		}
		for _, v := range [...]uint32{p.hour, p.app, p.metric} {
			out = binary.AppendUvarint(out, uint64(v))
		}
		out = binary.AppendVarint(binary.AppendVarint(out, s.delivered), s.ambiguous)
	}
	return out
}

// decode reads what encode wrote. It reports whether it is that.
func (r *batchRow) decode(data []byte) bool {
	d := reader{data: data}
	r.service, r.sealed, r.ambiguous = uint32(d.unsigned()), d.signed(), int(d.unsigned())
	r.cells = make(map[batchPlace]share)
	for len(d.data) > 0 && !d.bad {
		p := batchPlace{uint32(d.unsigned()), uint32(d.unsigned()), uint32(d.unsigned())}
		r.cells[p] = share{d.signed(), d.signed()}
	}
	return !d.bad
}

// reader takes numbers off bytes.
type reader struct {
	data []byte
	bad  bool
}

func (d *reader) unsigned() uint64 {
	v, n := binary.Uvarint(d.data)
	return d.took(n, v)
}

func (d *reader) signed() int64 {
	v, n := binary.Varint(d.data)
	return int64(d.took(n, uint64(v)))
}

func (d *reader) took(n int, v uint64) uint64 {
	if n <= 0 {
		d.bad, d.data = true, nil
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (b *booking) writeBatches() error {
	bucket := b.tx.Bucket(bucketBatches)
	for key, r := range b.batches {
		if err := bucket.Put([]byte(key), r.encode()); err != nil {
			return err
		}
	}
	return nil
}

// batchKey orders batches by the hour they were sealed in.
func batchKey(sealed int64, id string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(max(sealed, 0)/3600)), id...)
}

// Batches calls each with every batch that was sealed from since on, by the hour, as far back as they are kept; of one
// service, or of all where it is empty. It ends early with each's error.
func (l *Ledger) Batches(service string, since time.Time, each func(*BatchRecord) error) error {
	return l.db.View(func(tx *bbolt.Tx) error {
		t := texts{tx: tx, known: make(map[uint32]string)}
		wanted := find(tx, nameService, service)
		c := tx.Bucket(bucketBatches).Cursor()
		for k, v := c.Seek(batchKey(since.Unix(), "")); k != nil; k, v = c.Next() {
			var r batchRow
			if !r.decode(v) {
				return fmt.Errorf("ledger: batch %s: %w", k[4:], errCells)
			}
			if service != "" && r.service != wanted {
				continue
			}
			if err := each(r.record(string(k[4:]), &t)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *batchRow) record(id string, t *texts) *BatchRecord {
	out := &BatchRecord{ID: id, ServiceID: t.text(nameService, r.service), Sealed: time.Unix(r.sealed, 0).UTC(), Ambiguous: r.ambiguous}
	for p, s := range r.cells {
		out.Cells = append(out.Cells, BatchCell{
			Hour: time.Unix(int64(p.hour)*3600, 0).UTC(), AppID: t.text(nameApplication, p.app), Metric: t.text(nameMetric, p.metric),
			Delivered: s.delivered, Ambiguous: s.ambiguous,
		})
	}
	return out
}
