package console

import "time"

// StatusCluster says which replica has which partition.
type StatusCluster struct {
	Replicas int `json:"replicas"` // known ones, including the one that answers

	// Complete says that the owner of every partition has answered. Otherwise the sums contain, for partitions without an answer,
	// the events that an owner told last, and nothing of their other figures.
	Complete   bool              `json:"complete"`
	Partitions []StatusPartition `json:"partitions"`
}

// StatusPartition is a partition and its events.
type StatusPartition struct {
	Partition int     `json:"partition"`
	Owner     string  `json:"owner"`       // host name and id of the replica; empty: no replica answers for it now
	Known     bool    `json:"known"`       // false: no owner has told its events since this replica started, and they are missing from the sums
	Age       float64 `json:"age_seconds"` // of the events
	Events    Events  `json:"events"`
}

func (c *Cluster) page() *StatusCluster {
	if c == nil || c.Parts == nil {
		return nil
	}
	page := &StatusCluster{Replicas: c.Replicas, Complete: true, Partitions: make([]StatusPartition, 0, len(c.Parts))}
	for _, p := range c.Parts {
		part := StatusPartition{Partition: p.Partition, Owner: p.Owner, Known: p.Owner != "" || !p.At.IsZero(), Events: p.Events}
		if p.Owner == "" {
			page.Complete = false
			if part.Known {
				part.Age = time.Since(p.At).Seconds()
			}
		}
		page.Partitions = append(page.Partitions, part)
	}
	return page
}

// replicas are the metric families of replicas that share a spool; absent on a single machine.
var replicas = []family{
	{kind: gauge, name: "reporterd_cluster_partitions", label: "state",
		help: "Partitions of the cluster: owned by this replica, and without a known owner. Absent on a single machine.",
		each: func(s *Snapshot, put func(string, float64)) {
			if s.Cluster != nil {
				put("owned", float64(s.Cluster.Owned))
				put("unowned", float64(s.Cluster.Unowned))
			}
		}},
	{kind: gauge, name: "reporterd_cluster_replicas", help: "Known replicas, including this one. Absent on a single machine.",
		series: func(s *Snapshot, put func(float64, ...string)) {
			if s.Cluster != nil {
				put(float64(s.Cluster.Replicas))
			}
		}},
	{kind: counter, name: "reporterd_cluster_takeovers_total", help: "Partitions this replica has taken over.",
		series: func(s *Snapshot, put func(float64, ...string)) {
			if s.Cluster != nil {
				put(float64(s.Cluster.Taken))
			}
		}},
	{kind: counter, name: "reporterd_authorize_spare_total",
		help: "Authorizations answered while their service's partition had no owner: without counting usage that is not reported yet. At most as much may be granted beyond a limit.",
		series: func(s *Snapshot, put func(float64, ...string)) {
			if s.Cluster != nil {
				put(float64(s.Cluster.Spare))
			}
		}},
}
