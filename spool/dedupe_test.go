package spool

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func hashOf(n uint64) (m idHash) {
	m, _ = newIDHash(nil, "1001", fmt.Sprint(n))
	return m
}

func TestDedupeSetExpires(t *testing.T) {
	d := newDedupeSet(90 * time.Second)
	for i := range uint64(200) {
		d.forget(int64(1000 + i))
		d.add(hashOf(i), int64(1000+i))
		assert.LessOrEqual(t, d.size(), 91)
	}
	for i := range uint64(200) {
		assert.Equal(t, i >= 110, d.has(hashOf(i), 1200), i)
	}
	assert.False(t, d.has(hashOf(201), 1200))
	assert.False(t, d.has(hashOf(199), 1<<31), "after a long pause nothing is left")
	assert.Zero(t, d.size())
	assert.Zero(t, d.bytes())
}

// TestDedupeSetIsASet compares the set with a map over random additions and questions, with a clock that stands, runs, jumps and
// goes back. A hash is never forgotten before its window ends, and never later than the unit after it.
func TestDedupeSetIsASet(t *testing.T) {
	for _, window := range []time.Duration{time.Second, time.Minute, 10 * time.Minute, 24 * time.Hour} {
		t.Run(window.String(), func(t *testing.T) {
			t.Parallel()
			d, random := newDedupeSet(window), rand.New(rand.NewPCG(1, uint64(window)))
			seconds := int64(window / time.Second)
			known, latest := make(map[uint64]int64), int64(1_700_000_000)
			for range 200_000 {
				switch random.IntN(1000) {
				case 0:
					latest += random.Int64N(seconds + seconds/2)
				case 1, 2, 3:
					latest += random.Int64N(seconds/50 + 2)
				}
				n, now := random.Uint64N(20_000), latest
				if random.IntN(10) == 0 {
					now -= random.Int64N(seconds + 2) // the clock went back
				}
				at, added := known[n]
				age, has := latest-at, d.has(hashOf(n), now)
				if added && age <= seconds {
					require.True(t, has, "added %d seconds ago", age)
				}
				if !added || age >= seconds+2*d.unit {
					require.False(t, has, "added %d seconds ago", age)
				}
				if random.IntN(2) == 0 {
					d.add(hashOf(n), now)
					known[n] = max(now, known[n])
				}
			}
			alive := 0
			d.forget(latest)
			for _, at := range known {
				if latest/d.unit-at/d.unit < int64(len(d.added)) {
					alive++
				}
			}
			assert.Equal(t, alive, d.size())
		})
	}
}

// TestDedupeSetIsSmall: an id takes 16 bytes at most while they come, stay and expire. Adding one does not cost more when there are
// twice as many.
func TestDedupeSetIsSmall(t *testing.T) {
	t.Parallel()
	steps := func(count uint64) float64 {
		d := newDedupeSet(time.Minute)
		serial := uint64(0)
		for second := range int64(150) {
			d.forget(1000 + second)
			for range count / 60 {
				serial++
				d.add(randomHash(serial), 1000+second)
			}
			if d.size() > 100_000 {
				assert.Less(t, float64(d.bytes())/float64(d.size()), 16.0)
			}
		}
		all := uint64(0)
		for i := range d.shards {
			all += d.shards[i].steps
		}
		return float64(all) / float64(serial)
	}
	small, large := steps(200_000), steps(400_000)
	t.Logf("%.1f slots are looked at for an id of 200,000, %.1f of 400,000", small, large)
	assert.Less(t, large, small*1.1)
}

// randomHash is a hash as random as those of SHA-256, for less processor time.
func randomHash(n uint64) (m idHash) {
	random := rand.NewPCG(n, n)
	binary.LittleEndian.PutUint64(m[:8], random.Uint64())
	binary.LittleEndian.PutUint64(m[8:], random.Uint64())
	return m
}

// BenchmarkDedupeSet adds ids to a set, for a window in which 5 million fit, and prints what an id takes beside a map of the same
// hashes: the baseline, of one generation.
func BenchmarkDedupeSet(b *testing.B) {
	const count = 5_000_000
	for range b.N {
		d := newDedupeSet(10 * time.Minute)
		d.forget(1000)
		begun := cpu()
		for n := range uint64(count) {
			if m := randomHash(n); !d.has(m, 1000) {
				d.add(m, 1000)
			}
		}
		b.ReportMetric(float64((cpu()-begun).Nanoseconds())/count, "cpu-ns/id")
		b.ReportMetric(float64(d.bytes())/count, "bytes/id")
		before := heapBytes()
		known := make(map[idHash]uint32)
		begun = cpu()
		for n := range uint64(count) {
			if m := randomHash(n); known[m] == 0 {
				known[m] = 1000
			}
		}
		b.ReportMetric(float64((cpu()-begun).Nanoseconds())/count, "cpu-ns/id-baseline")
		b.ReportMetric(float64(heapBytes()-before)/count, "bytes/id-baseline")
		clear(known)
	}
}

func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
