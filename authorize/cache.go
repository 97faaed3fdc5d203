package authorize

import (
	"math"
	"sync"
	"sync/atomic"
)

const cacheShards = 16

// cache remembers answers, within a number and a size. What goes first is what was not asked for again
// since it came (SIEVE: a hand moves from the oldest to the newest, spares what was visited once, and
// takes what was not), so a flood of keys that come once does not drive out those that come back.
type cache struct {
	shards  [cacheShards]cacheShard
	entries int   // of one shard, at most
	bytes   int64 // of one shard, at most
	dropped func(*entry)

	size    atomic.Int64
	weight  atomic.Int64
	evicted atomic.Uint64
}

type cacheShard struct {
	mu     sync.RWMutex // guards what follows
	byKey  keyIndex
	newest *entry
	oldest *entry
	hand   *entry // the next to be looked at; nil: the oldest
	weight int64
}

// newCache returns an empty cache. dropped is called for every entry that leaves it, with a lock held.
func newCache(entries int, bytes int64, dropped func(*entry)) *cache {
	c := &cache{dropped: dropped}
	c.entries = max(1, (entries+cacheShards-1)/cacheShards)
	c.bytes = max(entryBytes*4, bytes/cacheShards)
	return c
}

func (c *cache) shard(k digest) *cacheShard { return &c.shards[k[0]%cacheShards] }

// get returns the entry of a key, or nil.
func (c *cache) get(k digest) *entry {
	s := c.shard(k)
	s.mu.RLock()
	e, app := s.byKey.get(&k)
	s.mu.RUnlock()
	if app != nil {
		app.Prefetch() // while the entry is fetched, too
	}
	if e != nil && !e.visited.Load() {
		e.visited.Store(true)
	}
	return e
}

// put remembers an entry, in place of one with the same key, and makes room for it.
func (c *cache) put(e *entry) {
	e.bytes = int32(min(e.weigh(), math.MaxInt32))
	s := c.shard(e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, _ := s.byKey.get(&e.key); old != nil {
		e.visited.Store(old.visited.Load())
		c.remove(s, old)
	}
	for s.byKey.count > 0 && (s.byKey.count >= c.entries || s.weight+int64(e.bytes) > c.bytes) {
		c.remove(s, s.victim())
		c.evicted.Add(1)
	}
	s.byKey.put(e)
	e.prev, e.next = s.newest, nil
	if s.newest != nil {
		s.newest.next = e
	} else {
		s.oldest = e
	}
	s.newest = e
	s.weight += int64(e.bytes)
	c.size.Add(1)
	c.weight.Add(int64(e.bytes))
}

// victim moves the hand to the next entry that was not visited since it passed last.
func (s *cacheShard) victim() *entry {
	for {
		if s.hand == nil {
			s.hand = s.oldest
		}
		e := s.hand
		if !e.visited.Swap(false) {
			return e
		}
		s.hand = e.next
	}
}

// drop forgets the entry of a key.
func (c *cache) drop(k digest) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, _ := s.byKey.get(&k); e != nil {
		c.remove(s, e)
	}
}

func (c *cache) remove(s *cacheShard, e *entry) {
	if s.hand == e {
		s.hand = e.next
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		s.oldest = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		s.newest = e.prev
	}
	s.byKey.remove(&e.key)
	s.weight -= int64(e.bytes)
	c.size.Add(-1)
	c.weight.Add(-int64(e.bytes))
	c.dropped(e)
}

// each calls visit for every entry, a shard at a time.
func (c *cache) each(visit func(*entry)) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		for e := s.newest; e != nil; e = e.prev {
			visit(e)
		}
		s.mu.RUnlock()
	}
}
