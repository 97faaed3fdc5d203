package console

import "time"

// Reload contains the results of reloads of the configuration.
type Reload struct {
	Last          time.Time // of the latest success; zero: none since the start
	Failed        bool      // the latest reload failed
	Done, Refused uint64    // numbers of successes and failures since the start
}

// configuration are the metric families of reloads.
var configuration = []family{
	{kind: counter, name: "reporterd_config_reloads_total", label: "outcome", help: "Reloads of the configuration: done, or refused, which keeps the previous one.",
		each: func(s *Snapshot, put func(string, float64)) {
			put("done", float64(s.Reload.Done))
			put("refused", float64(s.Reload.Refused))
		}},
	{kind: gauge, name: "reporterd_config_last_reload_successful", help: "0 when the latest reload was refused.",
		value: func(s *Snapshot) float64 { return flag(!s.Reload.Failed) }},
	{kind: gauge, name: "reporterd_config_last_reload_success_timestamp_seconds", help: "When the configuration was last reloaded, Unix seconds; 0: not since the start.",
		value: func(s *Snapshot) float64 {
			if s.Reload.Last.IsZero() {
				return 0
			}
			return float64(s.Reload.Last.Unix())
		}},
}
