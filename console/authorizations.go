package console

import "github.com/reporterd/reporterd/internal/histogram"

// authorizations are the metric families of authorizations; see families.
var authorizations = []family{
	{kind: counter, name: "reporterd_authorize_answers_total", label: "source",
		help: "Authorizations answered: from the cache, by asking the backend, from the cache beyond its ttl, by authorize.mode alone.",
		each: func(s *Snapshot, put func(string, float64)) { each(s.Authorize.Answers, put) }},
	{kind: counter, name: "reporterd_authorize_granted_total", help: "Authorizations answered with yes.",
		value: func(s *Snapshot) float64 { return float64(s.Authorize.Granted) }},
	{kind: counter, name: "reporterd_authorize_denied_total", label: "reason", help: "Authorizations answered with no.",
		each: func(s *Snapshot, put func(string, float64)) { each(s.Authorize.Denied, put) }},
	{kind: counter, name: "reporterd_authorize_backend_failures_total", help: "Authorize calls to the backend without an answer of its own.",
		value: func(s *Snapshot) float64 { return float64(s.Authorize.Failures) }},
	{kind: counter, name: "reporterd_authorize_refresh_ahead_total", help: "Answers refreshed before they expired.",
		value: func(s *Snapshot) float64 { return float64(s.Authorize.RefreshAhead) }},
	{kind: gauge, name: "reporterd_authorize_entries", label: "kind", help: "Answers in the cache.",
		each: func(s *Snapshot, put func(string, float64)) {
			put("answer", float64(s.Authorize.Entries))
			put("denial", float64(s.Authorize.Denials))
		}},
	{kind: gauge, name: "reporterd_authorize_bytes", help: "Approximate bytes of the answers in the cache.",
		value: func(s *Snapshot) float64 { return float64(s.Authorize.Bytes) }},
	{kind: counter, name: "reporterd_authorize_evicted_total", help: "Answers evicted because the cache was full.",
		value: func(s *Snapshot) float64 { return float64(s.Authorize.Evicted) }},
	{kind: gauge, name: "reporterd_authorize_applications", help: "Applications whose usage is counted against limits.",
		value: func(s *Snapshot) float64 { return float64(s.Authorize.Applications) }},
	{kind: gauge, name: "reporterd_authorize_unresolved_names", help: "Applications, of those, under a user key, or of a service without an id or with an alias, that 3scale has not explained: under another name they have another count.",
		value: func(s *Snapshot) float64 { return float64(s.Authorize.Unresolved) }},
	{kind: counter, name: "reporterd_authorize_untracked_total", help: "Transactions not counted against limits before delivery, because the memory for it was full.",
		value: func(s *Snapshot) float64 { return float64(s.Authorize.Untracked) }},
	{kind: counter, name: "reporterd_authorize_usage_total", label: "outcome",
		help: "Authreps by their usage: recorded, refused by the journal, or answered with yes without (mode allow).",
		each: func(s *Snapshot, put func(string, float64)) {
			put("recorded", float64(s.Authorize.Reported))
			put("refused", float64(s.Authorize.Refused-s.Authorize.Unbilled))
			put("unbilled", float64(s.Authorize.Unbilled))
		}},
	{kind: gauge, name: "reporterd_authorize_overshoot", help: "The largest amount by which a counter was above its limit.",
		value: func(s *Snapshot) float64 { return float64(s.Authorize.Overshoot) }},
	{kind: gauge, name: "reporterd_authorize_unseen_usage", help: "The most usage of other reporters that one answer of the backend showed: as much may have been granted beyond a limit because of them.",
		value: func(s *Snapshot) float64 { return float64(s.Authorize.Unseen) }},
	{kind: gauge, name: "reporterd_authorize_behind_usage", help: "The most delivered usage that a counter of the backend did not contain yet, in an answer since the last scrape: its worker is behind. It keeps counting against limits; as much usage of other reporters may be hidden by it.",
		value: func(s *Snapshot) float64 { return float64(s.Authorize.Behind) }},
	{kind: counter, name: "reporterd_authorize_forgotten_total", help: "Applications whose delivered usage was dropped from memory before the backend's counters contained it, because the memory was full.",
		value: func(s *Snapshot) float64 { return float64(s.Authorize.Forgotten) }},
	{kind: gauge, name: "reporterd_authorize_oldest_answer_seconds", help: "Age of the oldest answer served since the last scrape.",
		value: func(s *Snapshot) float64 { return s.Authorize.OldestAge.Seconds() }},
	{name: "reporterd_authorize_backend_seconds", help: "How long the backend took to answer authorizations.",
		histogram: func(s *Snapshot) histogram.Snapshot { return s.Authorize.Calls }},
}
