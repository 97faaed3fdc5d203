package sender

import "github.com/reporterd/reporterd/spool"

// scan looks for a batch up to a position that has to be waited for. It goes on where it stopped, so that waiting until there is
// none costs a look at each batch, and not at each of them whenever one ends. It is for one goroutine.
type scan struct {
	upTo  spool.Position
	left  []spool.BatchInfo // of the pass under way; as they were when it began
	looks uint64            // for tests
}

// stops reports whether there is a batch for which waits is true. waits gets it as it is now.
func (s *Sender) stops(c *scan, waits func(*spool.BatchInfo) bool) bool {
	for whole := false; ; whole = true { // what came meanwhile, parts of others for example, takes a pass that began now
		for ; len(c.left) > 0; c.left = c.left[1:] {
			c.looks++
			if b, live := s.spool.Batch(c.left[0].ID); live && waits(&b) {
				return true
			}
		}
		if whole {
			return false
		}
		for _, b := range s.spool.Batches() {
			if b.ID.Position <= c.upTo {
				c.left = append(c.left, b)
			}
		}
	}
}
