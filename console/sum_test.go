package console

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestSumOfSpools: every figure that a spool counts is in the sum, and the clock's skew is the one with the larger absolute value,
// positive or negative.
func TestSumOfSpools(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	services := func() []Service {
		all := []Service{{ID: "b"}, {ID: "a"}, {ID: "c"}}[:random.IntN(4)]
		for i := range all {
			all[i].Ended = Ended{random.Uint64N(9), random.Uint64N(9)}
		}
		return all
	}
	count := func(s Snapshot) (total Ended) {
		total = s.Others
		for _, one := range s.Services {
			total = total.plus(one.Ended)
		}
		return total
	}
	for range 1000 {
		a, b := Snapshot{Services: services(), Others: Ended{1, 2}}, Snapshot{Services: services(), Others: Ended{3, 4}}
		a.Reports.Clock, b.Reports.Clock = Clock{Known: true, Ahead: time.Duration(random.IntN(9) - 4)}, Clock{Known: true, Ahead: time.Duration(random.IntN(9) - 4)}
		sum := a.Plus(b)
		assert.Equal(t, count(a).plus(count(b)), count(sum))
		assert.Len(t, sum.Services, max(len(a.Services), len(b.Services)))
		assert.Equal(t, max(a.Reports.Clock.Ahead.Abs(), b.Reports.Clock.Ahead.Abs()), sum.Reports.Clock.Ahead.Abs())
	}
	empty := Snapshot{}.Plus(complete)
	for _, name := range []string{"Events", "Latest", "Services", "Others"} {
		assert.Equal(t, reflect.ValueOf(complete).FieldByName(name).Interface(), reflect.ValueOf(empty).FieldByName(name).Interface(), name)
	}
	assert.Equal(t, complete.Reports.Clock, empty.Reports.Clock)
}
