package receipt

import (
	"fmt"
	"slices"
	"time"
)

// read reads applications. It reports whether the daemon was killed meanwhile.
func (d *modelDaemon) read(mask Mask, kill float64) (killed bool) {
	for _, a := range d.random.Perm(Applications) {
		if !mask.Has(a) {
			continue
		}
		asked := d.backend.now
		d.backend.advance(upTo(d.random, 5*time.Millisecond))
		if !d.backend.listener.knows(d.backend, receiptName+a) {
			d.book.Absent(a, asked)
			d.gone = true
			continue
		}
		values := d.backend.read(a)
		d.gone = d.gone || slices.Contains(values, Missing)
		d.backend.advance(upTo(d.random, 5*time.Millisecond))
		d.book.Seen(a, values, asked)
		if d.kills(kill) {
			return true
		}
	}
	return false
}

// examine asks about the applications and metrics of what is suspect.
func (d *modelDaemon) examine() {
	suspects := d.book.Suspects(d.backend.now)
	slices.Sort(suspects)
	for _, id := range suspects {
		for _, t := range d.batches[id].transactions {
			for _, name := range d.applied[t] {
				asked, what := d.backend.now, fmt.Sprint(name)
				if d.backend.listener.knows(d.backend, name) {
					d.book.Vouched(id, what)
				} else {
					d.book.Denied(id, what, asked)
				}
			}
		}
	}
}
