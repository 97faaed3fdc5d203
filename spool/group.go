package spool

import (
	"sync"
	"time"

	"github.com/reporterd/reporterd/spool/wal"
)

const (
	maxGroup     = 4 << 20 // payload bytes from which on a group is closed to new members
	keptBuffers  = 4       // for reuse
	maxKeptBytes = 8 << 20 // a buffer above this is not kept
)

// group is a number of requests that become durable together, as one frame. The goroutine that makes a group leads it: it waits
// until the previous group is done and commits this one. Other requests join and wait for done. While one group is in fdatasync,
// the next one forms.
type group struct {
	buf   []byte // wal.FrameHead bytes for the head, then the payload; owned by the leader once the group is closed
	count uint32
	begun time.Time     // when its first event joined
	prev  *group        // nil for the first; dropped by the leader
	done  chan struct{} // closed by the leader, once
	err   error         // valid after done

	ids     []groupID     // journal: ids that enter the dedupe set with the group
	sources []groupSource // journal: messages of streams that enter the set with the group
	latest  int64         // journal: the latest timestamp of its events
	needs   []*group      // journal: if one of these groups is refused, this one is refused too
	records []logged      // batch log: applied once durable
}

// grouper forms groups. Its owner's mutex guards it.
type grouper struct {
	mu      *sync.Mutex
	forming *group // open to new members; nil: none
	newest  *group // the last one made; nil: it is done
	spare   [][]byte
	prefix  int // bytes of payload that the leader fills in
}

// joinLocked returns the group that gets n more bytes, and whether the caller has to lead it.
func (g *grouper) joinLocked(n int) (joined *group, leads bool) {
	if f := g.forming; f != nil && len(f.buf)+n <= maxGroup+wal.FrameHead {
		return f, false
	}
	made := &group{begun: time.Now(), done: make(chan struct{}), prev: g.newest}
	if last := len(g.spare) - 1; last >= 0 {
		made.buf, g.spare = g.spare[last], g.spare[:last]
	}
	made.buf = append(made.buf[:0], zeros[:wal.FrameHead+g.prefix]...)
	g.forming, g.newest = made, made
	return made, true
}

// waitTurn waits until the previous group is done, and closes this one to new members. The wait ends because the leader of each group
// is in commit.
func (g *grouper) waitTurn(led *group) {
	if led.prev != nil {
		<-led.prev.done
		led.prev = nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.forming == led {
		g.forming = nil
	}
}

// finishLocked sets the result of the group, and keeps its buffer for reuse. The caller closes led.done after it has released the
// mutex: waking all members takes so long that the next group would wait for the mutex.
func (g *grouper) finishLocked(led *group, err error) {
	if len(g.spare) < keptBuffers && cap(led.buf) <= maxKeptBytes {
		g.spare = append(g.spare, led.buf)
	}
	if g.newest == led {
		g.newest = nil // no group has to wait for it
	}
	led.buf, led.err = nil, err
}
