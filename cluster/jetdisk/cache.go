package jetdisk

import (
	"container/list"
	"sync"
)

// cache keeps the messages that were read or written last.
type cache struct {
	most int64

	mu     sync.Mutex // guards the fields below
	bytes  int64
	recent *list.List // of kept, the latest first
	bySeq  map[uint64]*list.Element
}

type kept struct {
	seq  uint64
	body []byte
}

func newCache(most int64) *cache {
	return &cache{most: most, recent: list.New(), bySeq: map[uint64]*list.Element{}}
}

// get returns the body of a message, or nil.
func (c *cache) get(seq uint64) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.bySeq[seq]
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(kept).body
}

func (c *cache) put(seq uint64, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bySeq[seq] != nil {
		return
	}
	c.bySeq[seq] = c.recent.PushFront(kept{seq, body})
	c.bytes += int64(len(body))
	for c.bytes > c.most && c.recent.Len() > 1 {
		last := c.recent.Remove(c.recent.Back()).(kept)
		delete(c.bySeq, last.seq)
		c.bytes -= int64(len(last.body))
	}
}
