package ledger

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestDeliveredMetrics: the first metrics of a service are named, the others share the empty name, and a sum never falls.
func TestDeliveredMetrics(t *testing.T) {
	l := &Ledger{deliveredUsage: map[string]map[string]uint64{}}
	for round := range 3 {
		for i := range mostMetrics + 5 {
			l.countDelivered(map[Metric]uint64{{"1001", fmt.Sprintf("m%02d", 90-i)}: 2, {"1002", "hits"}: 1})
		}
		all := l.Delivered()
		assert.Len(t, all, mostMetrics+2)
		assert.EqualValues(t, 2*(round+1), all[Metric{"1001", "m90"}])
		assert.EqualValues(t, 10*(round+1), all[Metric{"1001", ""}])
		assert.EqualValues(t, (mostMetrics+5)*(round+1), all[Metric{"1002", "hits"}])
	}
}
