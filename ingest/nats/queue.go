package nats

import "sync"

const (
	// maxWaiting bounds what waits in one queue, in bytes, payloads and what each message costs beside it.
	maxWaiting = 64 << 20

	// messageCost is about what a message takes in memory beside its payload.
	messageCost = 512

	// groupMessages and groupBytes bound what is appended at once.
	groupMessages = 4096
	groupBytes    = 4 << 20
)

// queue holds messages until a worker takes them, oldest first.
type queue struct {
	mu      sync.Mutex // guards what follows
	came    sync.Cond  // with mu: there is one more, or it is closed
	went    sync.Cond  // with mu: there is room, or it is closed
	waiting []*message
	bytes   int
	closed  bool
}

func newQueue() *queue {
	q := new(queue)
	q.came.L, q.went.L = &q.mu, &q.mu
	return q
}

// offer adds a message, if there is room.
func (q *queue) offer(m *message) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.bytes+m.cost() > maxWaiting {
		return false
	}
	q.add(m)
	return true
}

// put adds a message, as soon as there is room. It returns false once the queue is closed.
func (q *queue) put(m *message) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && q.bytes > 0 && q.bytes+m.cost() > maxWaiting {
		q.went.Wait()
	}
	if !q.closed {
		q.add(m)
	}
	return !q.closed
}

// add is called with mu held.
func (q *queue) add(m *message) {
	q.waiting = append(q.waiting, m)
	q.bytes += m.cost()
	q.came.Signal()
}

// take waits for messages and moves those that wait, most at most, into group. It returns none once the queue
// is closed and empty.
func (q *queue) take(group []*message, most int) []*message {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && !q.closed {
		q.came.Wait()
	}
	bytes := 0
	n := 0
	for n < len(q.waiting) && n < most && bytes < groupBytes {
		bytes += q.waiting[n].cost()
		n++
	}
	group = append(group, q.waiting[:n]...)
	clear(q.waiting[:n])
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	q.bytes -= bytes
	q.went.Broadcast()
	return group
}

// close lets takers have what is there, and nobody add more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.came.Broadcast()
	q.went.Broadcast()
}

// size is how many messages wait, and their bytes.
func (q *queue) size() (messages, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting), q.bytes
}
