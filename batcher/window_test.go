package batcher

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

const noon = int64(1795262400) // a whole minute

// used is an event of application "a" of service "1".
func used(at int64, usage ...threescale.Increment) *event.Event {
	e := &event.Event{ServiceID: "1"}
	e.Application.ID = "a"
	e.Timestamp = at
	e.Usage = usage
	return e
}

func hits(n uint64) threescale.Increment { return threescale.Increment{Metric: "hits", Value: n} }

// fill adds events to a new window, and returns it.
func fill(aggregate bool, events ...*event.Event) *window {
	w := newWindow(aggregate)
	for _, e := range events {
		w.add(e)
	}
	return w
}

func TestEventsOfOneMinuteBecomeOneTransaction(t *testing.T) {
	w := fill(true,
		used(noon+5, hits(1)),
		used(noon+59, hits(2), threescale.Increment{Metric: "transfer", Value: 7}),
		used(noon, hits(4)),
	)
	require.Len(t, w.queues, 1)
	assert.Equal(t, []spool.Transaction{{
		Transaction: threescale.Transaction{
			Application: threescale.Application{ID: "a"},
			Usage:       threescale.Usage{hits(7), {Metric: "transfer", Value: 7}},
			Timestamp:   noon + 59,
		},
		Events: 3,
	}}, w.queues[0].transactions)
}

func TestWhatChangesACounterIsNotSummed(t *testing.T) {
	with := func(change func(*event.Event)) *event.Event {
		e := used(noon, hits(1))
		change(e)
		return e
	}
	for name, other := range map[string]*event.Event{
		"another minute":      used(noon+60, hits(1)),
		"the minute before":   used(noon-1, hits(1)),
		"another application": with(func(e *event.Event) { e.Application.ID = "b" }),
		"a user key":          with(func(e *event.Event) { e.Application = threescale.Application{UserKey: "a"} }),
		"another service":     with(func(e *event.Event) { e.ServiceID = "2" }),
		"a token":             with(func(e *event.Event) { e.Credentials.ServiceToken = "t" }),
		"a provider key":      with(func(e *event.Event) { e.Credentials.ProviderKey = "t" }),
		"flat usage":          with(func(e *event.Event) { e.FlatUsage = true }),
		"a response code":     with(func(e *event.Event) { e.Code = 200 }),
		"a sum too large":     used(noon, hits(threescale.MaxValue)),
	} {
		t.Run(name, func(t *testing.T) {
			w := fill(true, used(noon, hits(1)), other)
			assert.Equal(t, 2, w.transactions)
		})
	}
}

func TestEventsWithACodeStayAlone(t *testing.T) {
	coded := used(noon, hits(1))
	coded.Code = 200
	w := fill(true, coded, coded, used(noon, hits(1)), coded, used(noon, hits(1)))
	var codes []int
	for _, tx := range w.queues[0].transactions {
		codes = append(codes, tx.Code)
	}
	assert.Equal(t, []int{200, 200, 0, 200}, codes)
}

func TestWithoutAggregationEveryEventStaysAlone(t *testing.T) {
	w := fill(false, used(noon, hits(1)), used(noon, hits(1)))
	assert.Equal(t, 2, w.transactions)
}

func TestSumStopsAtTheLargestValue(t *testing.T) {
	w := fill(true, used(noon, hits(threescale.MaxValue-1)), used(noon, hits(1)), used(noon, hits(1)), used(noon, hits(2)))
	require.Len(t, w.queues[0].transactions, 2)
	assert.Equal(t, threescale.Usage{hits(threescale.MaxValue)}, w.queues[0].transactions[0].Usage)
	assert.Equal(t, threescale.Usage{hits(3)}, w.queues[0].transactions[1].Usage)
}

func TestAggregateStopsAtItsMostMetrics(t *testing.T) {
	w := newWindow(true)
	for i := range 3 * maxMerged {
		w.add(used(noon, threescale.Increment{Metric: "m" + strings.Repeat("x", i), Value: 1}))
	}
	require.Len(t, w.queues[0].transactions, 3)
	for _, tx := range w.queues[0].transactions {
		assert.Len(t, tx.Usage, maxMerged)
	}
}

func TestEventWithoutUsageHasNothingToReport(t *testing.T) {
	w := fill(true, used(noon))
	assert.False(t, w.empty())
	assert.Empty(t, w.queues)
	assert.EqualValues(t, 1, w.nothing)
}

func TestWindowKeepsNoStringOfAnEvent(t *testing.T) {
	w := newWindow(true)
	e := used(noon, hits(1))
	for _, view := range []string{"one", "two"} {
		memory := []byte("1a-" + view)
		e.ServiceID, e.Application.ID, e.Usage[0].Metric = unsafeString(memory[:1]), unsafeString(memory[1:]), unsafeString(memory[3:])
		w.add(e)
		clear(memory)
	}
	q := w.queues[0]
	assert.Equal(t, "1", q.ServiceID)
	assert.Equal(t, "a-one", q.transactions[0].Application.ID)
	assert.Equal(t, "one", q.transactions[0].Usage[0].Metric)
	assert.Equal(t, "two", q.transactions[1].Usage[0].Metric)
}

func TestWindowCanBeUsedAgain(t *testing.T) {
	w := fill(true, used(noon, hits(1)))
	w.reset()
	require.True(t, w.empty())
	assert.Zero(t, w.bytes)
	w.add(used(noon, hits(5)))
	assert.Equal(t, 1, w.transactions)
	assert.Equal(t, threescale.Usage{hits(5)}, w.queues[0].transactions[0].Usage)
}

func TestKnownAggregateTakesAnEventWithoutAllocation(t *testing.T) {
	w := newWindow(true)
	e := used(noon, hits(1), threescale.Increment{Metric: "transfer", Value: 7})
	w.add(e)
	assert.Zero(t, testing.AllocsPerRun(100, func() { w.add(e) }))
}

// unsafeString is a string that changes with the bytes, as those of an event from the journal do.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// TestWitnessCountsEvents: a service's witness metric has one for each event, in the transaction of its usage; events that
// bring the metric themselves, come with their own credentials or belong to a service without it go as they are.
func TestWitnessCountsEvents(t *testing.T) {
	for _, aggregate := range []bool{true, false} {
		w := newWindow(aggregate)
		w.witness = func(service string) string {
			if service == "1" {
				return "tx"
			}
			return ""
		}
		other, stranger := used(noon, hits(1)), used(noon, hits(1))
		other.ServiceID, stranger.Credentials.ServiceToken = "2", "theirs"
		for range 2 { // a window and the next
			for _, e := range []*event.Event{
				used(noon, hits(3)), used(noon+1, hits(4)), used(noon+2, threescale.Increment{Metric: "tx", Value: 5}), used(noon + 3), other, stranger,
			} {
				w.add(e)
			}
			var sum [3]map[string]uint64
			for i, q := range w.queues {
				sum[i] = map[string]uint64{}
				for _, x := range q.transactions {
					for _, u := range x.Usage {
						sum[i][u.Metric] += u.Value
					}
				}
			}
			assert.Equal(t, [3]map[string]uint64{{"hits": 7, "tx": 7}, {"hits": 1}, {"hits": 1}}, sum)
			w.reset()
		}
	}
}

// A witness that an event brings itself may be as large as a value can be: then the next event starts another sum.
func TestWitnessEndsAtTheLargestValue(t *testing.T) {
	w := newWindow(true)
	w.witness = func(string) string { return "events" }
	w.add(used(noon, threescale.Increment{Metric: "events", Value: threescale.MaxValue}))
	w.add(used(noon, hits(1)))
	w.add(used(noon, hits(1)))
	var got []uint64
	for _, tx := range w.queues[0].transactions {
		got = append(got, tx.Usage[find(tx.Usage, "events")].Value)
	}
	assert.Equal(t, []uint64{threescale.MaxValue, 2}, got)
}
