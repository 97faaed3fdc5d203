package replica

import (
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/ledger"
)

// Snapshot adds up the figures of this replica's partitions; the sum over all replicas is complete. The lanes are those of every
// partition, as last announced by their owners, which name at most lanesNamed of those that are not of configured services.
func (r *Replica) Snapshot(int) console.Snapshot {
	sum := r.own()
	for _, p := range r.partitions() {
		sum = sum.Plus(p.Snapshot(0))
	}
	if node := r.node.Load(); node != nil {
		for _, latest := range node.News() {
			if latest.Valid {
				sum.Lanes = append(sum.Lanes, readNews(latest.Data).Lanes...)
			}
		}
	}
	return sum
}

// own are the figures of this replica without those of partitions.
func (r *Replica) own() console.Snapshot {
	sum := console.Snapshot{Authorize: partition.Authorizations(r.fallback.Stats())}
	r.mu.Lock()
	for _, one := range r.services {
		sum.Services = append(sum.Services, console.Service{ID: one.ID})
	}
	r.mu.Unlock()
	sum.Spool.Sync = "always"
	sum.Cluster = &console.Cluster{Partitions: r.options.Cluster.Partitions, Spare: r.answered.Load()}
	node := r.node.Load()
	if node == nil {
		sum.Cluster.Unowned = sum.Cluster.Partitions
		return sum
	}
	s := node.Stats()
	sum.Cluster.Owned, sum.Cluster.Unowned, sum.Cluster.Replicas, sum.Cluster.Taken = s.Owned, s.Unowned, s.Replicas, s.Taken
	return sum
}

// Scraped resets the figures that count since the last scrape.
func (r *Replica) Scraped() {
	r.fallback.Scraped()
	for _, p := range r.partitions() {
		p.Scraped()
	}
}

// Pending returns how many events are on disk and not delivered, in the partitions that this replica owns.
func (r *Replica) Pending() (events uint64) {
	for _, p := range r.partitions() {
		events += p.Pending()
	}
	return events
}

// KeepsLedger reports whether ledgers are kept.
func (r *Replica) KeepsLedger() bool { return r.options.Partition.Ledger != nil }

// Ledger answers for the usage of the whole cluster, from the ledgers of the partitions' owners. It is nil if none are kept.
func (r *Replica) Ledger() ledger.Book {
	if !r.KeepsLedger() {
		return nil
	}
	return r.joint
}

// Parents returns the hierarchy of a service's metrics, as far as it is known to the owner of its partition. While that does not answer,
// it is empty.
func (r *Replica) Parents(service string) map[string]string {
	node := r.node.Load()
	if node == nil {
		return nil
	}
	if p := r.partition(node.Partition(service)); p != nil {
		return p.Parents(service)
	}
	if !r.KeepsLedger() {
		return nil
	}
	parents, err := r.joint.Parents(service)
	if err != nil {
		return nil // the figures of the service cannot be read, either
	}
	return parents
}
