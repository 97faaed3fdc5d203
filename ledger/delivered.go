package ledger

// Metric is a metric or a method of a service.
type Metric struct{ ServiceID, Name string }

// mostMetrics bounds how many metrics of a service Ledger.Delivered names: the first that are booked. Usage of any further one is
// under the empty name.
const mostMetrics = 20

// delivered returns the usage that the booking books as delivered, by metric. Its transaction must be open.
func (b *booking) delivered() map[Metric]uint64 {
	all, texts := make(map[Metric]uint64), &texts{tx: b.tx, known: make(map[uint32]string)}
	for r, c := range b.changes {
		if r.app != 0 {
			continue // the row of all applications together has it
		}
		for i := range c.cells {
			if n := c.cells[i].Delivered; n != 0 {
				all[Metric{texts.text(nameService, r.service), texts.text(nameMetric, c.cells[i].metric)}] += uint64(n) // below zero where the hour has moved; the sum is not
			}
		}
	}
	return all
}

// countDelivered adds what was booked.
func (l *Ledger) countDelivered(booked map[Metric]uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for m, n := range booked {
		of := l.deliveredUsage[m.ServiceID]
		if of == nil {
			of = make(map[string]uint64)
			l.deliveredUsage[m.ServiceID] = of
		}
		if _, known := of[m.Name]; !known && len(of) >= mostMetrics {
			m.Name = ""
		}
		of[m.Name] += n
	}
}

// Delivered returns the usage that was booked as delivered since the start, in units of each metric: of each service, at most 20
// metrics and that of any further one under the empty name. It may be called at any time.
func (l *Ledger) Delivered() map[Metric]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[Metric]uint64)
	for service, of := range l.deliveredUsage {
		for name, n := range of {
			all[Metric{service, name}] = n
		}
	}
	return all
}
