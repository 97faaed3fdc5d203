package sender

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

const (
	nearEnd   = time.Hour       // what has less left of its 24 hours does not travel with what has much more
	leastLeft = 2 * time.Minute // what has less left than this counts as having this: the groups are few
)

// left is how long the backend will take a transaction for, from now on.
func (d *delivery) left(i int) time.Duration {
	at := d.batch.Transactions[i].Timestamp
	if at == 0 || d.restamped(i) {
		return threescale.MaxPast
	}
	return max(leastLeft, d.window.left(at))
}

// separate divides a batch in which something is near the end of its 24 hours, and something else is not, and reports
// whether it did. A worker of the backend that is behind by as much as the oldest transaction has left drops the
// whole report for it. A batch that was attempted is not divided: it may have been counted, and a repetition is one.
func (d *delivery) separate(ctx context.Context) bool {
	if d.tried || len(d.fresh) < 2 || d.batch.ID.Splits() >= probationSplits {
		return false
	}
	least, most := threescale.MaxPast, time.Duration(0)
	for _, i := range d.fresh {
		left := d.left(i)
		least, most = min(least, left), max(most, left)
	}
	if least >= nearEnd || most <= 4*least { // twice as much as within a group, so that none is divided again soon
		return false
	}
	d.resolve(ctx, spool.Resolution{Children: d.byDeadline()})
	return true
}

// byDeadline groups what is sent: in each group the freshest has at most twice as long left as the oldest, except in
// the last, where nothing is near its end.
func (d *delivery) byDeadline() (groups [][]int) {
	sorted := slices.SortedStableFunc(slices.Values(d.fresh), func(a, b int) int { return cmp.Compare(d.left(a), d.left(b)) })
	for from := 0; from < len(sorted); {
		to, least := from, d.left(sorted[from])
		for to < len(sorted) && (least >= nearEnd || d.left(sorted[to]) <= 2*least) {
			to++
		}
		group := slices.Clone(sorted[from:to])
		slices.Sort(group)
		groups, from = append(groups, group), to
	}
	return groups
}

// expiry is the reason of a transaction that is not sent any more because of its age: how old it is, and what kept it.
func (d *delivery) expiry(i int) spool.Reason {
	at := time.Unix(d.batch.Transactions[i].Timestamp, 0)
	return spool.Reason{Code: "expired", Message: fmt.Sprintf(
		"its timestamp was %v ago; 3scale takes usage of the last %v, and the last %v of that are left to its queue (sender.expired_margin): %s",
		d.began.Sub(at).Truncate(time.Second), threescale.MaxPast, d.options.ExpiredMargin, d.delay(at))}
}

// delay says what kept a transaction of a moment from being sent in time.
func (d *delivery) delay(at time.Time) string {
	age := func(then time.Time) time.Duration { return then.Sub(at).Truncate(time.Second) }
	accepted, sealed, limit := d.batch.OldestAccepted, d.batch.Sealed, threescale.MaxPast-d.options.ExpiredMargin
	d.mu.Lock()
	defer d.mu.Unlock()
	switch l := d.lane; {
	case !accepted.IsZero() && age(accepted) >= limit:
		return fmt.Sprintf("it was %v old already when it was accepted", age(accepted))
	case age(sealed) >= limit:
		return fmt.Sprintf("it was %v old already when it was sealed into a batch, at %s", age(sealed), instant(sealed))
	case l != nil && l.trouble.exists():
		return fmt.Sprintf("reports of its service have failed since %s (%s)", instant(l.trouble.since), l.trouble.code)
	case l != nil && l.probing.exists():
		return fmt.Sprintf("3scale has not said since %s whether its application exists (%s)", instant(l.probing.since), l.probing.code)
	case d.window.ahead != 0:
		return "it waited for 3scale's clock, which " + clockText(d.client.Clock().Skew(d.began))
	case d.probations[d.batch.ID] != nil:
		return "it waited for 3scale to confirm its application and metrics since " + instant(d.probations[d.batch.ID].since)
	case d.tried:
		return "an earlier attempt failed"
	}
	return "it waited for earlier reports since it was sealed, at " + instant(sealed)
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }
