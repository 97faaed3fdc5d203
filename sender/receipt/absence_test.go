package receipt

import (
	"fmt"
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
