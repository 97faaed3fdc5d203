package authorize

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/authorize/quota"
)

// TestKeyIndex compares it with a map, with keys that are hashes and with keys that all begin at a few slots.
func TestKeyIndex(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 0))
		x, want, keys := &keyIndex{}, map[digest]*entry{}, make([]digest, 1+random.IntN(300))
		for i := range keys {
			high := random.Uint64()
			binary.LittleEndian.PutUint64(keys[i][8:], high)
			binary.LittleEndian.PutUint64(keys[i][:], random.Uint64())
			if seed%2 == 1 { // few homes
				binary.LittleEndian.PutUint64(keys[i][:], high^random.Uint64N(3))
			}
		}
		for range 2000 {
			k := keys[random.IntN(len(keys))]
			if random.IntN(2) == 0 {
				x.remove(&k)
				delete(want, k)
			} else if want[k] == nil {
				e := &entry{key: k, application: &quota.Application{}}
				x.put(e)
				want[k] = e
			}
			require.Equal(t, len(want), x.count)
		}
		for i := range keys {
			e, app := x.get(&keys[i])
			require.Same(t, want[keys[i]], e, "seed %d", seed)
			if e != nil {
				require.Same(t, e.application, app)
			}
		}
	}
}
