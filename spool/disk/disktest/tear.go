package disktest

import "math/rand/v2"

// luck is how much of what was not synced a crash leaves. One is drawn for every crash and every failed
// Sync, because fair coins alone would never leave everything, or nothing, of a long list of writes.
type luck float64

// drawLuck returns nothing, everything or anything between.
func drawLuck(rng *rand.Rand) luck {
	switch rng.IntN(4) {
	case 0:
		return 0
	case 1:
		return 1
	default:
		return luck(rng.Float64())
	}
}

// keeps says whether one thing reached the disk.
func (l luck) keeps(rng *rand.Rand) bool { return rng.Float64() < float64(l) }

// versions returns how many of n successive versions of one thing reached the disk.
func (l luck) versions(rng *rand.Rand, n int) int {
	k := 0
	for k < n && l.keeps(rng) {
		k++
	}
	return k
}

// torn returns what may be on the platter when the first n pending changes were on their way there: of
// each sector some version between the durable one and the newest, and some size that the file had.
// A sector's later version includes its earlier ones, because both lived in the same page.
func (i *inode) torn(rng *rand.Rand, l luck, n int) image {
	m := i.safe.clone()
	left := map[int64]int{} // sector: versions that still reach the disk
	for s, count := range i.versions(n) {
		left[int64(s)] = l.versions(rng, count)
	}
	sizes := l.versions(rng, n)
	length := i.span(n)
	for k, c := range i.pending[:n] {
		from, to := c.sectors(length)
		for s := from; s < to; s++ {
			if left[s] > 0 {
				left[s]--
				c.applySector(&m, s)
			}
		}
		if k < sizes {
			m.size = c.size
		}
	}
	m.cut(m.size)
	return m
}

// versions counts, by sector, how often the first n pending changes touched it. It is a slice, so that
// what is drawn per sector is drawn in a fixed order.
func (i *inode) versions(n int) []int {
	length := i.span(n)
	counts := make([]int, roundUp(length)/sector)
	for _, c := range i.pending[:n] {
		from, to := c.sectors(length)
		for s := from; s < min(to, int64(len(counts))); s++ {
			counts[s]++
		}
	}
	return counts
}

// span returns the offset behind the last byte that the file held at any time from its durable state
// to the n-th pending change.
func (i *inode) span(n int) int64 {
	length := int64(len(i.safe.data))
	for _, c := range i.pending[:n] {
		length = max(length, c.off+int64(len(c.data)))
	}
	return length
}

// drop is what a failed Sync does to the first n pending changes: of the dirty sectors a subset drawn
// by luck becomes durable, all of them are clean from now on, and some are evicted, so that the next
// read brings the platter's version back.
func (i *inode) drop(rng *rand.Rand, l luck, n int) {
	counts := i.versions(n)
	i.safe = i.torn(rng, l, n)
	i.forget(n)
	if len(i.pending) > 0 {
		return // the pages are dirty again, and stay
	}
	for s, count := range counts {
		if count > 0 && rng.IntN(2) == 0 {
			i.evict(int64(s))
		}
	}
}

// evict replaces one sector of the page cache by the platter's version. The size stays: it lives in the
// inode, which does not leave memory while the file is open.
func (i *inode) evict(s int64) {
	from, to := s*sector, min((s+1)*sector, int64(len(i.now.data)))
	if from >= to {
		return
	}
	clear(i.now.data[from:to])
	if from < int64(len(i.safe.data)) {
		copy(i.now.data[from:to], i.safe.data[from:])
	}
}
