package console

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
