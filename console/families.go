package console

import "github.com/reporterd/reporterd/internal/histogram"

// families are the metric families of events, data directory, journal and window. The counters of events are those of the data
// directory and survive restarts; the rest begin at zero when the daemon starts.
var families = []family{
	{kind: counter, name: "reporterd_events_accepted_total", help: "Events acknowledged. accepted = delivered + dead + pending + lost.",
		value: func(s *Snapshot) float64 { return float64(s.Events.Accepted) }},
	{kind: counter, name: "reporterd_events_duplicate_total", help: "Events acknowledged as duplicates by their id, not counted as accepted.",
		value: func(s *Snapshot) float64 { return float64(s.Events.Duplicates) }},
	{kind: counter, name: "reporterd_events_delivered_total", help: "Events that 3scale accepted (202), which says nothing about whether it counts them; of services with receipts, events that it counted.",
		value: func(s *Snapshot) float64 { return float64(s.Events.Delivered) }},
	{kind: counter, name: "reporterd_events_dead_total", help: "Events kept as dead letters.",
		value: func(s *Snapshot) float64 { return float64(s.Events.Dead) }},
	{kind: counter, name: "reporterd_events_ambiguous_total", help: "Events in reports whose outcome was unknown, once for each such report.",
		value: func(s *Snapshot) float64 { return float64(s.Events.Ambiguous) }},
	{kind: counter, name: "reporterd_events_lost_total", help: "Events lost to a damaged disk.",
		value: func(s *Snapshot) float64 { return float64(s.Events.Lost) }},
	{kind: gauge, name: "reporterd_events_pending", help: "Events on disk that are not delivered yet.",
		value: func(s *Snapshot) float64 { return float64(s.Events.Pending) }},

	{kind: gauge, name: "reporterd_events_accepted_newest_timestamp_seconds",
		help:   "The latest timestamp of an accepted event, Unix seconds; absent before the first. The difference to that of delivered events is the delay.",
		series: func(s *Snapshot, put func(float64, ...string)) { putTime(s.Latest.Accepted, put) }},
	{kind: gauge, name: "reporterd_events_delivered_newest_timestamp_seconds",
		help:   "The latest timestamp of a delivered event, Unix seconds; absent before the first since the start.",
		series: func(s *Snapshot, put func(float64, ...string)) { putTime(s.Latest.Delivered, put) }},

	{kind: gauge, name: "reporterd_spool_bytes", help: "Bytes the data directory takes.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.Bytes) }},
	{kind: gauge, name: "reporterd_spool_quota_bytes", help: "Bytes the data directory may take.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.Quota) }},
	{kind: gauge, name: "reporterd_spool_free_bytes", help: "Bytes left for new events: the smaller of quota and disk, less the reserve for delivery.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.Free) }},
	{kind: gauge, name: "reporterd_spool_quarantined_bytes", help: "Bytes of damaged data in quarantine.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.Quarantined) }},
	{kind: gauge, name: "reporterd_spool_directory_replaced", help: "Data directories (or lock files) that were removed or replaced while open: no event is accepted there until the same ones are back.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.Replaced) }},
	{kind: gauge, name: "reporterd_spool_manifest_failing", help: "Manifests that cannot be written: a start after a crash may not detect all losses.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.Unkept) }},
	{kind: gauge, name: "reporterd_spool_batches", help: "Batches sealed and not resolved.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.Batches) }},
	{kind: gauge, name: "reporterd_spool_segments", help: "Segment files.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.Segments) }},
	{kind: gauge, name: "reporterd_spool_oldest_age_seconds", help: "Age of the oldest pending event. The backend refuses usage of more than 86400.",
		value: func(s *Snapshot) float64 { return s.Spool.OldestAge.Seconds() }},
	{kind: gauge, name: "reporterd_spool_sync_info", help: "1 for the sync mode in effect.", label: "mode",
		each: func(s *Snapshot, put func(string, float64)) { put(s.Spool.Sync, 1) }},

	{kind: counter, name: "reporterd_spool_read_errors_total", label: "log",
		help: "Files of the data directory that could not be opened or read, by log: journal, batches, ids. Each is retried until it can be.",
		each: func(s *Snapshot, put func(string, float64)) { each(s.Spool.ReadErrors, put) }},
	{kind: gauge, name: "reporterd_spool_read_failing", help: "1 while something in the data directory cannot be read. Reads are retried, and no data is lost by it.",
		value: func(s *Snapshot) float64 { return flag(s.Spool.Unreadable) }},

	{kind: gauge, name: "reporterd_spool_dead_letters", help: "Dead letter files.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.DeadLetters) }},
	{kind: gauge, name: "reporterd_spool_ids", help: "Event ids remembered.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.IDs) }},

	{kind: counter, name: "reporterd_commit_groups_total", help: "Group commits of the journal.",
		value: func(s *Snapshot) float64 { return float64(s.Commits.Groups) }},
	{kind: counter, name: "reporterd_commit_events_total", help: "Events of the journal's group commits.",
		value: func(s *Snapshot) float64 { return float64(s.Commits.Events) }},
	{kind: counter, name: "reporterd_commit_bytes_total", help: "Bytes of the journal's group commits.",
		value: func(s *Snapshot) float64 { return float64(s.Commits.Bytes) }},
	{kind: counter, name: "reporterd_commit_failed_total", help: "Groups refused because the disk failed.",
		value: func(s *Snapshot) float64 { return float64(s.Commits.Failed) }},
	{name: "reporterd_commit_seconds", help: "How long the first event of a group waited until the group was durable: what a producer waits at most.",
		histogram: func(s *Snapshot) histogram.Snapshot { return s.Commits.Waits }},
	{name: "reporterd_commit_group_events", help: "Events of a group commit.",
		histogram: func(s *Snapshot) histogram.Snapshot { return s.Commits.Sizes }},
	{name: "reporterd_spool_fsync_seconds", help: "How long the fsyncs of all logs took.",
		histogram: func(s *Snapshot) histogram.Snapshot { return s.Spool.Fsyncs }},

	{kind: gauge, name: "reporterd_window_transactions", help: "Transactions being aggregated.",
		value: func(s *Snapshot) float64 { return float64(s.Window.Transactions) }},
	{kind: gauge, name: "reporterd_window_events", help: "Events summed in the window's transactions.",
		value: func(s *Snapshot) float64 { return float64(s.Window.Events) }},
	{kind: counter, name: "reporterd_cuts_total", help: "Cuts of the window.",
		value: func(s *Snapshot) float64 { return float64(s.Window.Cuts) }},
	{kind: counter, name: "reporterd_cut_batches_total", help: "Batches sealed by cuts.",
		value: func(s *Snapshot) float64 { return float64(s.Window.Batches) }},
	{kind: gauge, name: "reporterd_cut_last_seconds", help: "How long the last cut took.",
		value: func(s *Snapshot) float64 { return s.Window.LastCut.Seconds() }},
	{name: "reporterd_cut_seconds", help: "How long cuts took.",
		histogram: func(s *Snapshot) histogram.Snapshot { return s.Window.Times }},
	{name: "reporterd_cut_age_seconds", help: "How long the first event of a window had waited when it was cut.",
		histogram: func(s *Snapshot) histogram.Snapshot { return s.Window.Ages }},
	{name: "reporterd_batch_fill_ratio", label: "cap", help: "How full sealed batches were, as a part of each cap: the one near 1 closed the batch, if any.",
		histograms: func(s *Snapshot, put func(string, histogram.Snapshot)) {
			put("transactions", s.Window.Fill.Transactions)
			put("params", s.Window.Fill.Params)
			put("bytes", s.Window.Fill.Bytes)
		}},
}

// putTime omits unknown times, which would look like 1970.
func putTime(unix int64, put func(float64, ...string)) {
	if unix != 0 {
		put(float64(unix))
	}
}
