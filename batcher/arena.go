package batcher

import "github.com/reporterd/reporterd/threescale"

// What the pieces of a window weigh in memory, for its bound: rounded up from the sizes of the structs,
// the entry in the map of aggregates included.
const (
	transactionBytes = 160
	incrementBytes   = 24
)

// arenaChunk is how many increments are allocated at a time: 24 KiB.
const arenaChunk = 1024

// keptQueues is above how many lanes a window keeps no memory for the next: callers bring credentials of
// their own, and the next may be others.
const keptQueues = 1000

// arena hands out the usage of new transactions from few large allocations, and takes all of it back at
// once.
type arena struct {
	chunks [][]threescale.Increment
	chunk  int // the one being handed out
	used   int // of it
}

// take returns n increments that nobody else has, with no room to append.
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

// size is how many increments there is memory for.
func (s *arena) size() int { return len(s.chunks) * arenaChunk }

// reset takes everything back.
func (s *arena) reset() {
	for _, c := range s.chunks {
		clear(c)
	}
	s.chunk, s.used = 0, 0
}
