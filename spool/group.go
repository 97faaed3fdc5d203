package spool

import (
	"sync"
	"time"

	"github.com/reporterd/reporterd/spool/wal"
)

const (
	maxGroup     = 4 << 20 // payload bytes behind which a group takes no newcomers
	keptBuffers  = 4       // for reuse
	maxKeptBytes = 8 << 20 // a buffer above this is not kept
)

// group is what becomes durable together, as one frame. The goroutine that makes a group leads it: it
// waits until the group before is done and commits this one. Everybody else joins and waits for done.
// While one group is in fdatasync, the next one forms by itself.
type group struct {
	buf   []byte // frameHead bytes of room, then the payload; owned by the leader once the group is closed
	count uint32
	begun time.Time     // when its first event joined
	prev  *group        // nil for the first; dropped by the leader
	done  chan struct{} // closed by the leader, once
	err   error         // valid after done

	ids     []idMark      // journal: ids that become known with the group
	sources []groupSource // journal: messages of streams that become known with the group
	latest  int64         // journal: the latest timestamp of its events
	needs   []*group      // journal: groups without which this one must not be kept
	records []logged      // batch log: what is applied once durable
}

// grouper forms groups. Its owner's mutex guards it.
type grouper struct {
	mu      *sync.Mutex
	forming *group // takes newcomers; nil: none
	newest  *group // the last one made
	spare   [][]byte
	prefix  int // bytes of payload that the leader fills in
}

// join returns the group that n more bytes go to, and whether the caller has to lead it. mu is held.
func (g *grouper) join(n int) (joined *group, leads bool) {
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

// turn waits until the group before is done, and closes this one to newcomers. The wait ends because
// every group's leader is on its way through commit.
func (g *grouper) turn(led *group) {
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

// finish says how the group went, and keeps its buffer. mu is held; the caller closes led.done once it is
// not: waking everybody takes so long that the next group would queue up behind the lock.
func (g *grouper) finish(led *group, err error) {
	if len(g.spare) < keptBuffers && cap(led.buf) <= maxKeptBytes {
		g.spare = append(g.spare, led.buf)
	}
	if g.newest == led {
		g.newest = nil // nobody has to wait for it
	}
	led.buf, led.err = nil, err
}
