package nats

import "sync"

const (
	// maxWaiting bounds one queue, in bytes: payloads, and messageCost for each message.
	maxWaiting = 64 << 20

	// messageCost is about how many bytes a message takes in memory beside its payload.
	messageCost = 512

	// groupMessages and groupBytes bound the messages of one append to the journal.
	groupMessages = 4096
	groupBytes    = 1 << 20 // of messages of 100 events: two thirds of what a Bundle keeps memory for
)

// queue holds messages until a worker takes them, oldest first. It is safe for concurrent use.
type queue struct {
	mu       sync.Mutex // guards what follows
	notEmpty sync.Cond  // with mu: a message was added, or it was closed
	notFull  sync.Cond  // with mu: messages were taken, or it was closed
	waiting  []*message
	bytes    int
	closed   bool
}

func newQueue() *queue {
	q := new(queue)
	q.notEmpty.L, q.notFull.L = &q.mu, &q.mu
	return q
}

// offer adds a message and returns true, or returns false at once when the queue is full or closed.
func (q *queue) offer(m *message) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.bytes+m.cost() > maxWaiting {
		return false
	}
	q.addLocked(m)
	return true
}

// put adds a message; it blocks while the queue is full. It returns false once the queue is closed.
func (q *queue) put(m *message) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && q.bytes > 0 && q.bytes+m.cost() > maxWaiting {
		q.notFull.Wait()
	}
	if !q.closed {
		q.addLocked(m)
	}
	return !q.closed
}

// addLocked adds a message.
func (q *queue) addLocked(m *message) {
	q.waiting = append(q.waiting, m)
	q.bytes += m.cost()
	q.notEmpty.Signal()
}

// take blocks until there are messages, and appends up to most of them to group. It returns none once the queue is closed
// and empty.
func (q *queue) take(group []*message, most int) []*message {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && !q.closed {
		q.notEmpty.Wait()
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
	q.notFull.Broadcast()
	return group
}

// close lets no more messages be added. Those in the queue can still be taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.notEmpty.Broadcast()
	q.notFull.Broadcast()
}

// size is how many messages are in the queue, and their bytes.
func (q *queue) size() (messages, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting), q.bytes
}
