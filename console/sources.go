package console

// Sources are the kept questions of dashboards, by how their last answers are.
type Sources struct {
	Fresh, Stale, Unanswered int     // the last: there was no good answer yet
	Oldest                   float64 // age of the oldest answer, in seconds
	Asked, Failed            uint64  // questions since the start, to the ledger and to 3scale
}

// sourceFamilies are the metric families of sources.
var sourceFamilies = []family{
	{kind: gauge, name: "reporterd_sources", label: "state", help: "Sources by their last answer: fresh, stale (the last question failed, or the next is overdue: the last good answer is served), unanswered.",
		each: func(s *Snapshot, put func(string, float64)) {
			put("fresh", float64(s.Sources.Fresh))
			put("stale", float64(s.Sources.Stale))
			put("unanswered", float64(s.Sources.Unanswered))
		}},
	{kind: gauge, name: "reporterd_sources_oldest_answer_seconds", help: "Age of the oldest answer that is served; 0 without any.",
		value: func(s *Snapshot) float64 { return s.Sources.Oldest }},
	{kind: counter, name: "reporterd_source_questions_total", help: "Questions that sources asked in the background, of the ledger and of 3scale.",
		value: func(s *Snapshot) float64 { return float64(s.Sources.Asked) }},
	{kind: counter, name: "reporterd_source_failures_total", help: "Those of them that had no good answer.",
		value: func(s *Snapshot) float64 { return float64(s.Sources.Failed) }},
}
