package sender

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// capsLife is how long a lower cap is remembered: an administrator may raise it again.
const capsLife = time.Hour

// caps are what this backend, or what stands in front of it, was seen to refuse as too large. They only
// ever make batches smaller than they were sealed.
type caps struct {
	mu     sync.Mutex // guards what follows
	most   size       // zero fields: nothing known
	learnt time.Time
}

// size is how large a report is.
type size struct{ transactions, params, bytes int }

// size measures the report that would be sent.
func (d *delivery) size() size {
	c, _ := d.credentialsNow()
	total := size{transactions: len(d.fresh)}
	total.params, total.bytes = threescale.HeadCost(d.batch.Lane.ServiceID, c)
	for n, i := range d.fresh {
		params, bytes := d.batch.Transactions[i].FormCost(n)
		total.params, total.bytes = total.params+params, total.bytes+bytes
	}
	return total
}

// learn takes the cap out of an answer that says so (recordings report-1000-5keys, report-body-over-4mib);
// otherwise half of what was refused is tried.
func (c *caps) learn(refused size, a *threescale.Answer, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.learnt = now
	var n, limit int
	if _, err := fmt.Sscanf(a.Text, "total number of query parameters (%d) exceeds limit (%d)", &n, &limit); err == nil && limit > 0 {
		c.most.params = lower(c.most.params, limit)
		return
	}
	if _, err := fmt.Sscanf(a.Text, "total query size exceeds limit (%d)", &limit); err == nil && limit > 0 {
		c.most.bytes = lower(c.most.bytes, limit)
		return
	}
	if a.Status == http.StatusRequestEntityTooLarge || strings.Contains(a.Text, "exceeds limit") {
		c.most.bytes = lower(c.most.bytes, max(refused.bytes/2, 1))
	}
}

func lower(known, learnt int) int {
	if known == 0 {
		return learnt
	}
	return min(known, learnt)
}

// parts returns into how many parts a report has to be split, as far as is known.
func (c *caps) parts(s size, now time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.learnt) > capsLife {
		c.most = size{}
	}
	parts := 1
	for _, m := range [...]struct{ is, most int }{
		{s.transactions, c.most.transactions}, {s.params, c.most.params}, {s.bytes, c.most.bytes},
	} {
		if m.most > 0 {
			parts = max(parts, (m.is+m.most-1)/m.most)
		}
	}
	return parts
}

// known reports whether any cap is.
func (c *caps) known() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most != size{}
}

// fits reports whether the batch is not larger than what is known to be refused. Otherwise it is split.
func (d *delivery) fits(ctx context.Context) bool {
	if len(d.fresh) < 2 || !d.caps.known() {
		return true
	}
	n := d.caps.parts(d.size(), d.began)
	if n < 2 {
		return true
	}
	d.resolve(ctx, spool.Resolution{Children: d.parts(n)})
	return false
}
