package receipt

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestReceiptApplicationIsUnknown: a report one of whose receipt applications is unknown, twice 65 s apart, was dropped where its first
// receipt has not moved. Where the first one is the unknown one, or another one has moved, a part may be counted: it waits until the
// application is there again, or the usage is too old.
func TestReceiptApplicationIsUnknown(t *testing.T) {
	for _, c := range []struct {
		absent int
		moved  []int
		want   End // while it is unknown
		then   End // when it is there again, and later reports are counted
		never  End // when it never is
	}{
		{absent: First, then: Dropped, never: Unconfirmed},
		{absent: First, moved: []int{First}, then: Partial, never: Unconfirmed},
		{absent: Last, moved: []int{First, Second}, then: Partial, never: Unconfirmed},
		{absent: Last, moved: []int{First, Second, Last}, then: Counted, never: Unconfirmed},
		{absent: Second, want: Dropped},
		{absent: Last, want: Dropped},
	} {
		for _, again := range []bool{true, false} {
			b := newBench(t, 1)
			r := b.sent("a", 500)
			if c.moved != nil {
				b.counted(r, c.moved...)
			}
			unknown := func(d time.Duration) {
				b.now = b.now.Add(d)
				for a := range Applications {
					if a == c.absent {
						b.Absent(a, b.now)
					} else {
						b.Seen(a, b.counters[a], b.now)
					}
				}
			}
			for range 3 {
				unknown(40 * time.Second)
			}
			if c.want != 0 {
				assert.Equal(t, map[string]End{"a": c.want}, b.ends(), "%+v", c)
				continue
			}
			assert.Empty(t, b.ends(), "%+v", c)
			if !again {
				unknown(25 * time.Hour)
				assert.Equal(t, map[string]End{"a": c.never}, b.ends(), "%+v", c)
				continue
			}
			for range links + 1 { // later reports are counted
				b.after(6 * time.Minute)
				b.counted(b.sent(fmt.Sprint(b.now), 500))
				b.after(10 * time.Second)
			}
			b.after(10 * time.Second)
			assert.Equal(t, c.then, b.ends()["a"], "%+v", c)
		}
	}
}

// TestReadingsComeSoonAgain: after the worker stood still for hours, reports are read again as soon as before.
func TestReadingsComeSoonAgain(t *testing.T) {
	b := newBench(t, 16)
	report := func(delay time.Duration) (took time.Duration) {
		id := fmt.Sprint(b.now)
		sent, counted := b.now, false
		r := b.sent(id, 500)
		for b.ends()[id] == 0 {
			b.now = later(b.now.Add(time.Millisecond), b.Next(b.now))
			if !counted && b.now.Sub(sent) >= delay {
				counted = true
				b.counted(r)
			}
			asks := b.Asks(b.now)
			for a := range Applications {
				if asks.Has(a) {
					b.Seen(a, b.counters[a], b.now)
				}
			}
		}
		b.Close(id, Counted, b.now)
		return b.now.Sub(sent)
	}
	for range 31 {
		report(2 * time.Hour)
	}
	assert.Less(t, report(50*time.Millisecond), time.Minute)
	for range 100 {
		report(50 * time.Millisecond)
	}
	assert.Less(t, report(50*time.Millisecond), 7*time.Second)
}

// TestMetricIsMissing: the limit on a receipt metric is gone, or the metric. Reports that count there are not read, and nothing is
// concluded of them, not even that a receipt application is missing; all others have their ends as ever. When the metric is shown
// again, it goes on, or it was made again and began at 0: what cannot be told apart is unconfirmed.
func TestMetricIsMissing(t *testing.T) {
	for _, c := range []struct {
		name    string
		base    uint64          // what all counters of the first metric stood at before
		missing []int           // applications that show none
		moved   bool            // the report was counted
		then    func(v *uint64) // what becomes of each of its counters; nil: it stays missing
		want    End             // in the end
	}{
		{name: "counted, and shown again", base: 4, missing: []int{First, Second, Last}, moved: true, then: func(*uint64) {}, want: Counted},
		{name: "not counted, and shown again", base: 4, missing: []int{First, Second, Last}, then: func(*uint64) {}, want: Dropped},
		{name: "made again", base: 4, missing: []int{First, Second, Last}, moved: true, then: func(v *uint64) { *v = 0 }, want: Unconfirmed},
		{name: "made again, and stood at 0", missing: []int{First, Second, Last}, moved: true, then: func(v *uint64) { *v = 0 }, want: Unconfirmed},
		{name: "missing at the last alone", base: 4, missing: []int{Last}, then: func(*uint64) {}, want: Dropped},
		{name: "never shown again", base: 4, missing: []int{First, Second, Last}, moved: true, want: Unconfirmed},
	} {
		b := newBench(t, 2)
		for a := range Applications {
			b.counters[a][0] = c.base
		}
		b.after(time.Second)
		r := b.sent("a", 500)
		assert.Zero(t, r.Metric, c.name)
		second := b.sent("b", 500)
		for second.Metric == 0 {
			second = b.sent(fmt.Sprint(b.now), 500)
		}
		read := func(d time.Duration, missing bool) {
			b.now = b.now.Add(d)
			for a := range Applications {
				values := slices.Clone(b.counters[a])
				if missing && slices.Contains(c.missing, a) {
					values[0] = Missing
				}
				b.Seen(a, values, b.now)
			}
		}
		read(time.Second, true)
		if c.moved {
			b.counted(r)
		}
		b.counted(second)
		for range 4 {
			read(40*time.Second, true)
		}
		ends := b.ends()
		assert.Zero(t, ends["a"], c.name)
		assert.Contains(t, slices.Collect(maps.Values(ends)), Counted, "%s: the other metric's report", c.name)
		if c.then == nil {
			read(25*time.Hour, true)
			assert.Equal(t, c.want, b.ends()["a"], c.name)
			continue
		}
		for a := range Applications {
			c.then(&b.counters[a][0])
		}
		read(time.Minute, false)
		for range links + 1 { // later reports are counted
			b.after(6 * time.Minute)
			later := b.sent(fmt.Sprint(b.now), 500)
			b.counted(later)
			b.after(10 * time.Second)
		}
		b.after(10 * time.Second)
		assert.Equal(t, c.want, b.ends()["a"], c.name)
	}
}

// TestPartBeforeAMetricIsMadeAgain: the first reading of a report asks for all of its receipts. A worker was killed behind the first one,
// and then the metric was deleted and made again, so that all counters begin at 0: the report is not called dropped.
func TestPartBeforeAMetricIsMadeAgain(t *testing.T) {
	b := newBench(t, 2)
	b.counted(b.sent("part", 500), First)
	for asked := Mask(0); asked == 0; {
		b.now = b.now.Add(100 * time.Millisecond)
		asked = b.Asks(b.now)
		for a := range Applications {
			if asked.Has(a) {
				b.Seen(a, b.counters[a], b.now)
			}
		}
	}
	for a := range Applications {
		clear(b.counters[a])
	}
	for range links + 1 { // later reports are counted
		b.after(6 * time.Minute)
		b.counted(b.sent(fmt.Sprint(b.now), 500))
		b.after(10 * time.Second)
	}
	b.after(10 * time.Second)
	assert.Equal(t, Unconfirmed, b.ends()["part"])
}
