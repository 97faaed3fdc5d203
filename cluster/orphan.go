package cluster

import (
	"errors"
	"maps"
	"time"
)

// maxWhy limits the reason in an announcement, in bytes.
const maxWhy = 300

// Orphan is a partition without a known owner.
type Orphan struct {
	Partition int

	// Why a replica cannot open it, and since when that is known here; empty: it is not known, it is being taken over perhaps.
	Why   string
	Since time.Time
}

// unopened is why a replica cannot open a partition, by its latest announcement.
type unopened struct {
	why         string
	since, seen time.Time
}

// Orphans returns the partitions without a known owner, in order.
func (n *Node) Orphans() (all []Orphan) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for p := range n.o.Partitions {
		if time.Since(n.owners[p].seen) < goneAfter {
			continue
		}
		o := Orphan{Partition: p}
		if u, ok := n.unopened[p]; ok && time.Since(u.seen) < goneAfter {
			o.Why, o.Since = u.why, u.since
		}
		all = append(all, o)
	}
	return all
}

// opened records whether this replica could open a partition. Only errors of Options.Open are about the partition.
func (n *Node) opened(p int, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case err == nil:
		delete(n.failing, p)
	case errors.As(err, &openError{}):
		why := err.Error()
		n.failing[p] = why[:min(len(why), maxWhy)]
	}
}

// failingLocked returns why this replica cannot open partitions that have no owner, for an announcement.
func (n *Node) failingLocked() map[int]string {
	for p := range n.failing {
		if o := n.owners[p]; o.node != n.id && time.Since(o.seen) < goneAfter {
			delete(n.failing, p) // another replica could
		}
	}
	return maps.Clone(n.failing)
}

// keepUnopenedLocked keeps the reasons in an announcement.
func (n *Node) keepUnopenedLocked(w *announcement, now time.Time) {
	for p, why := range w.Unopened {
		u, known := n.unopened[p]
		if !known || now.Sub(u.seen) > goneAfter {
			u = unopened{since: now}
		}
		u.why, u.seen = why, now
		n.unopened[p] = u
	}
	for p := range w.Owns {
		delete(n.unopened, p)
	}
}
