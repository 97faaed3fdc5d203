package disktest

import "math/rand/v2"

// luck is the probability that an unsynced change survives a crash. One is drawn for every crash and every failed Sync, since
// with a fixed probability all or none of a long list of writes would never survive.
type luck float64

// drawLuck returns 0, 1 or a random value in between.
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

// keeps reports whether one change reached the disk.
func (l luck) keeps(rng *rand.Rand) bool { return rng.Float64() < float64(l) }

// versions returns how many of n successive versions reached the disk.
func (l luck) versions(rng *rand.Rand, n int) int {
	k := 0
	for k < n && l.keeps(rng) {
		k++
	}
	return k
}

// torn returns a possible content of the platter after a crash during the first n pending changes: of each sector some version
// between the durable one and the newest, and some size that the file had. A later version of a sector includes the earlier ones,
// since all were in the same page.
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

// versions counts, by sector, how often the first n pending changes wrote it. It is a slice, so that random numbers are drawn per
// sector in a fixed order.
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

// span returns the largest size that the file had from its durable state to the n-th pending change.
func (i *inode) span(n int) int64 {
	length := int64(len(i.safe.data))
	for _, c := range i.pending[:n] {
		length = max(length, c.off+int64(len(c.data)))
	}
	return length
}

// drop applies a failed Sync to the first n pending changes: a random subset of the dirty sectors becomes durable, all are clean
// from now on, and some are evicted, so that the next read returns the platter's version.
func (i *inode) drop(rng *rand.Rand, l luck, n int) {
	counts := i.versions(n)
	i.safe = i.torn(rng, l, n)
	i.forget(n)
	if len(i.pending) > 0 {
		return // a later change made the pages dirty again: they stay
	}
	for s, count := range counts {
		if count > 0 && rng.IntN(2) == 0 {
			i.evict(int64(s))
		}
	}
}

// evict replaces one sector of the page cache by the platter's version. The size stays: it is in the inode, which stays in memory
// while the file is open.
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
