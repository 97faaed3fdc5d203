package partition

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

// using is an event of an application with one value.
func using(app string, value uint64) *event.Event {
	return &event.Event{ServiceID: "1001", Transaction: threescale.Transaction{
		Application: threescale.Application{ID: app}, Usage: threescale.Usage{{Metric: "hits", Value: value}},
	}}
}

// TestCountersDoNotOverflow: however many of the largest values come, for one application or many, across crashes, what is accepted
// stays below the limit of the backend's counters. Another service is not affected, and small values of other applications are taken
// until the service's own counter is full.
func TestCountersDoNotOverflow(t *testing.T) {
	var file []byte
	writes := 0
	live := func() *totals {
		return newTotals(zap.NewNop(), file, func(data []byte) error {
			writes++
			file = data
			return nil
		})
	}
	admitted := func(life *totals, e *event.Event) bool {
		why := life.Admit(e)
		if why != "" {
			assert.Contains(t, why, "the backend's counters have a limit")
			return false
		}
		life.count([]event.Event{*e})
		return true
	}
	var sum, one uint64
	for range 3 {
		life := live() // after a crash
		for range 1030 {
			if admitted(life, using("greedy", threescale.MaxValue)) {
				sum, one = sum+threescale.MaxValue, one+threescale.MaxValue
			}
			if admitted(life, using("modest", 1)) {
				sum++
			}
		}
	}
	assert.LessOrEqual(t, one, applicationLimit)
	assert.Greater(t, one, applicationLimit-threescale.MaxValue-4*totalsStep)
	assert.Less(t, writes, 200, "each of the largest values is written down, and nothing else is")
	life := live()
	for i := range 20 * 1030 {
		app := string(rune('a' + i%20))
		if admitted(life, using(app, threescale.MaxValue)) {
			sum += threescale.MaxValue
		}
	}
	assert.LessOrEqual(t, sum, serviceLimit)
	assert.Greater(t, sum, serviceLimit-10*threescale.MaxValue)
	life = live()
	assert.True(t, admitted(life, using("modest", 1)) || life.exhausted.Load())
	other := using("modest", threescale.MaxValue)
	other.ServiceID = "1002"
	assert.True(t, admitted(life, other))
}

// TestTotalsOfSmallValues: small values are counted as well, and need no file until their sum is large.
func TestTotalsOfSmallValues(t *testing.T) {
	var file []byte
	life := newTotals(zap.NewNop(), nil, func(data []byte) error { file = data; return nil })
	for range 10 {
		life.count([]event.Event{*using("a", large-1), *using("b", 1)})
	}
	assert.Nil(t, file)
	life.count([]event.Event{*using("a", large-1)})
	assert.Equal(t, 11*(large-1)+10, life.services["1001"].sum.Load())
	for range 1000 {
		life.count([]event.Event{*using("a", large-1)})
	}
	assert.Contains(t, string(file), `"1001":`)
	again := newTotals(zap.NewNop(), file, nil)
	assert.GreaterOrEqual(t, again.services["1001"].sum.Load(), life.services["1001"].sum.Load())
	assert.Less(t, again.services["1001"].sum.Load(), life.services["1001"].sum.Load()+2*totalsStep)
}

// TestLargeValueThatCannotBeWrittenDown is refused, and not counted.
func TestLargeValueThatCannotBeWrittenDown(t *testing.T) {
	life := newTotals(zap.NewNop(), nil, func([]byte) error { return errors.New("no space left on device") })
	assert.Contains(t, life.Admit(using("a", threescale.MaxValue)), "no space left")
	assert.Zero(t, life.services["1001"].sum.Load())
	damaged := newTotals(zap.NewNop(), []byte("{"), func([]byte) error { return nil })
	assert.Empty(t, damaged.Admit(using("a", threescale.MaxValue)), "a damaged file of bounds stops no delivery")
}
