package console

// replicas are the families about replicas that share a spool; absent where there are none.
var replicas = []family{
	{kind: gauge, name: "reporterd_cluster_partitions", label: "state",
		help: "Partitions of the cluster: owned by this replica, and by nobody that is heard of. Absent with a spool of its own.",
		each: func(s *Snapshot, put func(string, float64)) {
			if s.Cluster != nil {
				put("owned", float64(s.Cluster.Owned))
				put("unowned", float64(s.Cluster.Unowned))
			}
		}},
	{kind: gauge, name: "reporterd_cluster_replicas", help: "Replicas that are heard of, this one included. Absent with a spool of its own.",
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
		help: "Authorizations answered while nobody owned their service's partition: without the usage that is not reported yet. As much may be granted beyond a limit, and no more.",
		series: func(s *Snapshot, put func(float64, ...string)) {
			if s.Cluster != nil {
				put(float64(s.Cluster.Spare))
			}
		}},
}
