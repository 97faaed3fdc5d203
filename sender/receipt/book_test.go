package receipt

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bench is a Book with the counters that it reads, and a clock.
type bench struct {
	*Book[string]
	t        *testing.T
	now      time.Time
	counters [Applications][]uint64
}

func newBench(t *testing.T, metrics int) *bench {
	b := &bench{t: t, now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	b.Book = New[string](metrics, Rules{}, b.now)
	for a := range b.counters {
		b.counters[a] = make([]uint64, metrics)
	}
	b.after(10 * time.Second)
	return b
}

// after lets time pass, and reads all counters.
func (b *bench) after(d time.Duration) {
	b.now = b.now.Add(d)
	for a := range Applications {
		b.Seen(a, b.counters[a], b.now)
	}
}

// sent allots a receipt.
func (b *bench) sent(id string, n int) Receipt {
	b.t.Helper()
	r, ok := b.Allot(id, Carries(n), b.now, b.now.Add(24*time.Hour))
	require.True(b.t, ok, id)
	b.now = b.now.Add(time.Millisecond)
	return r
}

// counted moves the receipts of a report, as the worker does; or some of them.
func (b *bench) counted(r Receipt, applications ...int) {
	for a := range Applications {
		if r.Mask.Has(a) && (len(applications) == 0 || slices.Contains(applications, a)) {
			b.counters[a][r.Metric] += r.Increment()
		}
	}
}

// ends are the conclusions of now.
func (b *bench) ends() map[string]End {
	all := map[string]End{}
	for _, c := range b.Conclusions(b.now) {
		all[c.ID] = c.End
	}
	return all
}

func TestCountedIsConfirmed(t *testing.T) {
	b := newBench(t, 1)
	r := b.sent("a", 100)
	b.after(time.Second)
	assert.Empty(t, b.ends())
	b.counted(r)
	b.after(time.Second)
	assert.Empty(t, b.ends(), "a slice may still be sent again")
	b.after(6 * time.Second)
	assert.Equal(t, map[string]End{"a": Counted}, b.ends())
	b.Close("a", Counted, b.now)
	assert.Zero(t, b.Open())

	r = b.sent("b", 100)
	b.counted(r)
	b.after(time.Second)
	b.counted(r, First)
	b.after(5 * time.Second)
	b.after(7 * time.Second)
	assert.Equal(t, map[string]End{"b": Double}, b.ends())
}

// A report that does not move has no end while nothing shows that the worker runs: not in half an hour, not in a day.
func TestNotMovedProvesNothing(t *testing.T) {
	b := newBench(t, 1)
	b.sent("a", 100)
	for range 47 {
		b.after(30 * time.Minute)
		assert.Empty(t, b.ends())
	}
	b.after(time.Hour)
	assert.Equal(t, map[string]End{"a": Unconfirmed}, b.ends(), "nothing of it can be counted any more, and the cause is unknown")
}

// Later reports that are counted, five minutes apart, end one that did not move.
func TestDroppedWithoutACulprit(t *testing.T) {
	b := newBench(t, 1)
	b.sent("a", 100)
	start := b.now
	for i := 0; len(b.ends()) < 1; i++ {
		require.Less(t, i, 40)
		id := fmt.Sprint("later ", i)
		b.counted(b.sent(id, 20))
		b.after(time.Second)
		b.after(29 * time.Second)
		require.Equal(t, Counted, b.ends()[id])
		b.Close(id, Counted, b.now)
	}
	assert.GreaterOrEqual(t, b.now.Sub(start), 15*time.Minute)
	assert.Less(t, b.now.Sub(start), 19*time.Minute)
	assert.Equal(t, map[string]End{"a": Dropped}, b.ends())

	// It is sent again with the same receipt. If both land, that is known.
	r, _ := b.Allot("a", Carries(100), b.now, b.now)
	b.Release("a", b.now)
	b.after(time.Second)
	assert.NotContains(t, b.ends(), "a", "it is not sent yet")
	b.Again("a", b.now)
	b.after(time.Second)
	assert.NotContains(t, b.ends(), "a")
	b.counted(r)
	b.after(time.Second)
	b.after(7 * time.Second)
	assert.Equal(t, Counted, b.ends()["a"])
	b.Close("a", Counted, b.now)
	require.Empty(t, b.Late())
	b.counted(r)
	b.after(time.Hour)
	assert.Equal(t, []Late[string]{{ID: "a", End: Counted, Mask: r.Mask, Digits: [Applications]uint8{First: 2, Last: 1}, Resent: true}}, b.Late())
}

// A culprit that is denied twice ends it at once; what is known again is none.
func TestDroppedForACulprit(t *testing.T) {
	b := newBench(t, 1)
	b.sent("a", 100)
	assert.Empty(t, b.Suspects(b.now))
	b.after(16 * time.Second)
	assert.Equal(t, []string{"a"}, b.Suspects(b.now), "it did not move for a while")
	assert.Empty(t, b.Suspects(b.now), "the questions are asked")
	b.Denied("a", "app 7", b.now)
	b.after(64 * time.Second)
	b.Denied("a", "app 7", b.now)
	b.after(time.Second)
	assert.Empty(t, b.ends(), "the backend's processes remember for a minute")
	b.Denied("a", "app 7", b.now)
	b.after(time.Second)
	assert.Empty(t, b.ends(), "no later report is counted")
	b.counted(b.sent("later", 100))
	b.after(time.Second)
	assert.Equal(t, map[string]End{"a": Dropped}, b.ends())
	b.Vouched("a", "app 7")
	assert.Empty(t, b.ends())
}

// Two denials count that are far enough apart, and only with a reading from behind the second.
func TestCulpritIsDeniedTwice(t *testing.T) {
	b := newBench(t, 1)
	b.sent("a", 100)
	b.counted(b.sent("later", 100))
	b.after(time.Second)
	b.Denied("a", "app 7", b.now)
	b.after(10 * time.Second)
	b.Denied("a", "app 7", b.now)
	b.after(time.Second)
	assert.NotContains(t, b.ends(), "a", "the backend's processes remember for a minute")
	b.now = b.now.Add(time.Minute)
	b.Denied("a", "app 7", b.now)
	assert.NotContains(t, b.ends(), "a", "it may have moved since the last reading")
	b.after(time.Second)
	assert.Equal(t, Dropped, b.ends()["a"])
}

func TestPlacesAreKeptOverRestarts(t *testing.T) {
	b := newBench(t, 1)
	r := b.sent("a", 100)
	b.Close("a", Unconfirmed, b.now)
	kept := b.Reserved(func(id string) string { return id }, b.now)
	require.Len(t, kept, 1)
	assert.Equal(t, Reserved{Name: "a", Metric: 0, Place: r.Place, Mask: r.Mask, End: Unconfirmed, Until: kept[0].Until}, kept[0])

	b.Book = New[string](1, Rules{}, b.now)
	b.Reserve("a", kept[0])
	_, ok := b.Allot("x", Carries(100), b.now, b.now)
	assert.False(t, ok, "the counters have no base yet")
	assert.Equal(t, Carries(100), b.Asks(b.now))
	assert.False(t, b.Next(b.now).After(b.now))
	b.after(time.Second)
	for i := range 20 {
		if other, ok := b.Allot(string(rune('A'+i)), Carries(100), b.now, b.now.Add(24*time.Hour)); ok {
			assert.NotEqual(t, r.Place, other.Place)
		}
	}
	b.counted(r)
	b.after(time.Second)
	require.Len(t, b.Late(), 1, "it landed after all")
}

// A report goes on after a start with what its attempt recorded.
func TestReportsGoOnAfterAStart(t *testing.T) {
	b := newBench(t, 2)
	r := b.sent("a", 500)
	sent := b.now
	b.counted(r)
	written, err := Parse(r.Append(nil))
	require.NoError(t, err)
	b.Book = New[string](2, Rules{}, b.now)
	require.True(t, b.Reopen("a", written, sent, sent.Add(time.Hour), false))
	assert.False(t, b.Reopen("a", written, sent, sent, false), "twice")
	assert.False(t, b.Reopen("b", Receipt{Metric: 2, Mask: 1}, sent, sent, false), "of a metric that is not there")
	b.after(time.Second)
	b.after(10 * time.Second)
	assert.Equal(t, map[string]End{"a": Counted}, b.ends())
}

// Counters that move by themselves are another's; ones that fall are of an application that was made anew.
func TestForeignCounters(t *testing.T) {
	b := newBench(t, 2)
	b.after(20 * time.Minute)
	r := b.sent("a", 100)
	other := Receipt{Metric: r.Metric, Place: (r.Place + 4) % Places, Mask: r.Mask}
	b.counted(other)
	b.after(time.Second)
	assert.Equal(t, b.now, b.Foreign())
	assert.Equal(t, map[string]End{"a": Unconfirmed}, b.ends(), "its digits mean nothing")
	b.Close("a", Unconfirmed, b.now)
	assert.NotEqual(t, r.Metric, b.sent("b", 100).Metric)

	b = newBench(t, 1)
	r = b.sent("a", 100)
	b.counted(r)
	b.after(time.Second)
	b.counters[Last][0] = 0
	b.after(10 * time.Second)
	assert.Equal(t, map[string]End{"a": Unconfirmed}, b.ends())
}

func TestWithdrawnPlacesAreGivenAgain(t *testing.T) {
	b := newBench(t, 1)
	r := b.sent("a", 100)
	b.Withdraw("a")
	assert.Equal(t, r.Place, b.sent("b", 100).Place)
	b.Again("b", b.now)
	b.Withdraw("b")
	assert.Equal(t, 1, b.Open(), "an earlier attempt may land")
}

// All places are taken by reports that do not move: a probe shows that the worker runs, and ends them.
func TestProbes(t *testing.T) {
	b := newBench(t, 1)
	taken := 0
	for ; ; taken++ {
		if _, ok := b.Allot(string(rune('a'+taken)), Carries(100), b.now, b.now.Add(24*time.Hour)); !ok {
			break
		}
	}
	assert.Equal(t, Places-1, taken, "one is for probes")
	b.now = b.now.Add(time.Second)
	for i := 0; len(b.ends()) < taken; i++ {
		require.Less(t, i, 200)
		if r, ok := b.Probe(b.now); ok {
			assert.EqualValues(t, 1<<Last, r.Mask)
			b.counted(r)
		}
		b.after(20 * time.Second)
	}
	for id, end := range b.ends() {
		assert.Equal(t, Dropped, end)
		b.Close(id, end, b.now)
	}
	_, ok := b.Probe(b.now.Add(time.Hour))
	assert.False(t, ok, "nothing waits")
}

// A worker that stood still and counts all at once shows one moment at which it ran, however far apart the reports were sent.
func TestLinksBeginWhenTheLastWasSeen(t *testing.T) {
	b := newBench(t, 1)
	b.sent("a", 100)
	var later []Receipt
	for i := range 4 {
		b.after(6 * time.Minute)
		later = append(later, b.sent(fmt.Sprint(i), 100))
	}
	for _, r := range later {
		b.counted(r)
		b.after(time.Second)
	}
	b.after(time.Minute)
	assert.NotContains(t, b.ends(), "a")
}

// Which attempt was counted of a report that was sent again is not known: it shows nothing about reports before the second one.
func TestReportsSentAgainPassNone(t *testing.T) {
	b := newBench(t, 1)
	again := b.sent("again", 100)
	b.sent("a", 100)
	b.Denied("a", "app", b.now.Add(time.Second))
	b.Denied("a", "app", b.now.Add(2*time.Minute))
	b.after(3 * time.Minute)
	b.Again("again", b.now)
	b.after(time.Second)
	b.counted(again)
	b.after(time.Second)
	b.after(10 * time.Second)
	assert.Equal(t, map[string]End{"again": Counted}, b.ends())
}

// What has an end and may land keeps its place for as long as anything was seen to land late.
func TestPlacesRestAfterTheirReports(t *testing.T) {
	for _, end := range []End{Dropped, Partial, Double} {
		b := newBench(t, 1)
		r := b.sent("a", 100)
		b.Close("a", end, b.now)
		b.after(time.Second)
		for i := range Places - 2 {
			assert.NotEqual(t, r.Place, b.sent(fmt.Sprint(i), 100).Place)
		}
		_, ok := b.Allot("none", Carries(100), b.now, b.now)
		assert.False(t, ok)
		b.after(16 * time.Minute)
		assert.Equal(t, r.Place, b.sent("b", 100).Place)
	}
}

// Of several probes that are under way the first one that is seen counts for the earliest; none is sent soon after a start.
func TestProbesCountForTheEarliest(t *testing.T) {
	b := newBench(t, 1)
	b.sent("a", 100)
	b.after(2 * time.Minute)
	_, ok := b.Probe(b.now)
	assert.False(t, ok, "one of before the start may land")
	b.after(16 * time.Minute)
	first, ok := b.Probe(b.now)
	require.True(t, ok)
	b.after(time.Second)
	b.sent("between", 100)
	b.after(5 * time.Minute)
	_, ok = b.Probe(b.now)
	require.True(t, ok)
	b.after(time.Second)
	for _, id := range []string{"a", "between"} {
		b.Denied(id, "app", b.now)
		b.Denied(id, "app", b.now.Add(2*time.Minute))
	}
	b.after(3 * time.Minute)
	b.counted(first)
	b.after(time.Second)
	b.after(time.Second)
	assert.Equal(t, map[string]End{"a": Dropped}, b.ends())
}

func TestSlices(t *testing.T) {
	all := Mask(1<<First | 1<<Second | 1<<Third | 1<<Last)
	for _, c := range []struct {
		mask   Mask
		digits [Applications]uint8
		want   []SliceState
	}{
		{all, [Applications]uint8{1, 1, 1, 1}, []SliceState{SliceCounted, SliceCounted, SliceCounted}},
		{all, [Applications]uint8{1, 1, 0, 0}, []SliceState{SliceCounted, SliceBegun, SliceMissing}},
		{all, [Applications]uint8{1, 2, 1, 1}, []SliceState{SliceCounted, SliceDoubled, SliceCounted}},
		{Carries(500), [Applications]uint8{1, 1, 0, 1}, []SliceState{SliceCounted, SliceCounted}},
		{Carries(100), [Applications]uint8{1, 0, 0, 0}, []SliceState{SliceBegun}},
	} {
		assert.Equal(t, c.want, Slices(c.mask, c.digits))
	}
	assert.Equal(t, "begun", SliceBegun.String())
	assert.Equal(t, "dropped", Dropped.String())
}
