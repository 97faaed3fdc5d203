package batcher

import "github.com/reporterd/reporterd/threescale"

// The memory of the parts of a window, for its limit: rounded up from the sizes of the structs, including the entry in the map of
// aggregates.
const (
	transactionBytes = 160
	incrementBytes   = 24
)

// arenaChunk is how many increments are allocated at once: 24 KiB.
const arenaChunk = 1024

// keptQueues is the number of lanes above which a window keeps no memory for the next one: callers may send their own
// credentials, and the next window may have other lanes.
const keptQueues = 1000

// arena allocates the usage of new transactions from a few large chunks, and releases all of it at once.
type arena struct {
	chunks [][]threescale.Increment
	chunk  int // index of the chunk in use
	used   int // increments of it in use
}

// take returns n increments, without capacity to append.
func (s *arena) take(n int) threescale.Usage {
	if n > arenaChunk {
		return make(threescale.Usage, n)
	}
	if s.used+n > arenaChunk {
		s.chunk, s.used = s.chunk+1, 0
	}
	if s.chunk == len(s.chunks) {
		s.chunks = append(s.chunks, make([]threescale.Increment, arenaChunk))
	}
	at := s.used
	s.used += n
	return s.chunks[s.chunk][at:s.used:s.used]
}

// size returns how many increments there is memory for.
func (s *arena) size() int { return len(s.chunks) * arenaChunk }

// reset releases everything.
func (s *arena) reset() {
	for _, c := range s.chunks {
		clear(c)
	}
	s.chunk, s.used = 0, 0
}
