package access

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDivide(t *testing.T) {
	wish := Connections{Traffic: 8192, Admin: 256, NATS: 1024, Sandbox: -1}
	assert.Equal(t, Connections{Traffic: 8192, Admin: 256, NATS: 1024}, Divide(65536, 200, wish).Bound, "there is enough for all")
	assert.Equal(t, Connections{Traffic: 1024 - 224 - 92 - 192 - 24, Admin: 92, NATS: 192}, Divide(1024, 224, wish).Bound)
	assert.Equal(t, Connections{Traffic: 65536 - 200 - 256 - 16, Admin: 256}, Divide(65536, 200, Connections{Admin: 256, NATS: -1, Sandbox: -1}).Bound, "no bound is wished")
}

// TestDivideLeavesWhatIsReserved: for any request, all listeners at their limits leave the reserve free.
func TestDivideLeavesWhatIsReserved(t *testing.T) {
	for limit := 256; limit < 5000; limit += 37 {
		for _, n := range []int{-1, 0, 3, 100, 1000, 1_000_000} {
			for _, m := range []int{-1, 0, 3, 100, 1000, 1_000_000} {
				b := Divide(limit, 160, Connections{Traffic: n, Admin: m, NATS: n, Sandbox: m}).Bound
				assert.LessOrEqual(t, b.Traffic+b.Admin+b.NATS+b.Sandbox, limit-160, "%d: %d, %d", limit, n, m)
				assert.Equal(t, n >= 0, b.Traffic > 0)
			}
		}
	}
}
