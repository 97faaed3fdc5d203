package ledger

import (
	"go.etcd.io/bbolt"

	"github.com/reporterd/reporterd/spool"
)

// sentCell names a cell by texts. An empty application stands for all together.
type sentCell struct {
	service, app, metric string
	hour                 int64 // since 1970
}

// sentUsage is the usage of reports that 3scale accepted and whose receipts have not moved yet. It is read from the batches
// themselves, so that it is never behind, and has no more of them than receipts tell apart.
func (l *Ledger) sentUsage() map[sentCell]int64 {
	if l.options.Sent == nil {
		return nil
	}
	sums := make(map[sentCell]int64)
	l.options.Sent(func(b *spool.Batch) {
		for i := range b.Transactions {
			t := &b.Transactions[i]
			p := sentCell{service: b.Lane.ServiceID, hour: timeOf(b, t.Timestamp) / 3600}
			name := ApplicationName(t.Application)
			for _, u := range t.Usage {
				p.metric = u.Metric
				for _, p.app = range [...]string{name, ""} {
					sums[p] += int64(u.Value)
				}
			}
		}
	})
	return sums
}

// sentKey names a cell by its numbers.
type sentKey struct {
	row
	metric uint32
	hour   uint8
}

// numberSent returns the usage by numbers, as far as they are known.
func numberSent(tx *bbolt.Tx, sums map[sentCell]int64) map[sentKey]int64 {
	numbered := make(map[sentKey]int64, len(sums))
	for p, n := range sums {
		k := sentKey{row{uint32(p.hour / hoursOfDay), find(tx, nameService, p.service), 0}, find(tx, nameMetric, p.metric), uint8(p.hour % hoursOfDay)}
		if p.app != "" {
			if k.app = findApplication(tx, k.service, p.app); k.app == 0 {
				continue
			}
		}
		if k.service != 0 && k.metric != 0 {
			numbered[k] += n
		}
	}
	return numbered
}
