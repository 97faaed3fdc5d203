package jetdisk

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// several stands for the messages of a file with more than one that has data.
const several = ^uint64(0)

// seal makes the node one of a sealed file that was not read.
func (n *node) seal(s seal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sealed, n.unread = true, s.Data > 0
	n.size, n.low, n.last, n.data = s.Size, s.Size, s.Last, s.Data
	n.extents = nil
}

// unseal makes the node one of a file whose messages are all read.
func (n *node) unseal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sealed, n.unread = false, false
	n.size, n.low, n.last, n.data = 0, 0, 0, 0
	n.extents = nil
}

// trySeal seals a file if its content is in one message at most, all of it is synced, and no Sync is running. If it returns a seal,
// it holds n.syncing, so that no Sync begins; the caller unlocks it once the directory says so.
func (n *node) trySeal() *seal {
	if !n.syncing.TryLock() {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed != nil || n.resized || n.data == several || n.hasUnsyncedLocked() {
		n.syncing.Unlock()
		return nil
	}
	n.sealed = true
	return &seal{Size: n.size, Last: n.last, Data: n.data}
}

// isSealed reports whether the directory says that the file is sealed.
func (n *node) isSealed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sealed
}

func (n *node) hasUnsyncedLocked() bool {
	for i := range n.extents {
		if n.extents[i].data != nil {
			return true
		}
	}
	return false
}

// reopen says in the directory that a sealed file is written to. The caller holds n.syncing.
func (d *Disk) reopen(n *node) error {
	n.mu.Lock()
	sealed, failed := n.sealed, n.failed
	n.mu.Unlock()
	if !sealed || failed != nil {
		return failed
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.recordLocked(record{Op: opOpen, ID: n.id}); err != nil {
		return err
	}
	n.mu.Lock()
	n.sealed = false
	n.mu.Unlock()
	return nil
}

// load reads the message of a sealed file that was not read yet.
func (d *Disk) load(n *node) error {
	n.mu.Lock()
	unread, data, size := n.unread, n.data, n.size
	n.mu.Unlock()
	if !unread {
		return nil
	}
	body, err := d.message(data)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.unread {
		return nil
	}
	last := n.last
	if err := n.loadLocked(data, body); err != nil || n.size != size {
		return errno(fmt.Errorf("jetdisk: message %d: %w", data, errBody))
	}
	n.last, n.data, n.unread = last, data, false
	return nil
}

// message returns the body of a message, from the cache or from the stream. While the servers do not answer, it retries for Patience. No
// error says anything about what is in the message: it may be readable later.
func (d *Disk) message(seq uint64) ([]byte, error) {
	if body := d.cache.get(seq); body != nil {
		return body, nil
	}
	var body []byte
	err := d.retry(func(ctx context.Context) (final bool, err error) {
		m, err := d.stream.GetMsg(ctx, seq)
		if err != nil {
			return errors.Is(err, jetstream.ErrMsgNotFound), err
		}
		body = m.Data
		return true, nil
	})
	if err != nil {
		return nil, errno(fmt.Errorf("jetdisk: message %d: %w", seq, err))
	}
	d.o.Reading()
	d.cache.put(seq, body)
	return body, nil
}
