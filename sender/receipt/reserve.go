package receipt

import "time"

// Reserved is a place that is kept for a report which has an end and may still land.
type Reserved struct {
	Name   string    `json:"batch"` // the report's
	Metric int       `json:"metric"`
	Place  int       `json:"place"`
	Mask   Mask      `json:"applications"`
	End    End       `json:"end"`
	Resent bool      `json:"resent"`
	Until  time.Time `json:"until"`
}

// Reserved are the places that are to be kept over a restart. name says what a report is called.
func (b *Book[K]) Reserved(name func(K) string, now time.Time) []Reserved {
	var all []Reserved
	for n, m := range b.metrics {
		for number := range m.places {
			if p := &m.places[number]; p.kept(now) {
				c := p.closed
				all = append(all, Reserved{name(c.id), n, number, c.mask, c.end, c.resent, c.until})
			}
		}
	}
	return all
}

// Reserve keeps a place of before the start. It comes before any Reopen or Allot.
func (b *Book[K]) Reserve(id K, r Reserved) {
	if r.Metric >= 0 && r.Metric < len(b.metrics) && r.Place >= 0 && r.Place < Places {
		b.metrics[r.Metric].places[r.Place].closed = &closed[K]{id: id, mask: r.Mask, end: r.End, resent: r.Resent, until: r.Until}
	}
}
