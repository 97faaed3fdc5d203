package console

import "time"

// NATS contains the figures of messages since the daemon started; zero without NATS.
type NATS struct {
	Degraded    bool // it is configured, and no messages arrive
	Losses      uint64
	Waiting     int
	Refused     map[string]uint64 // by reason
	DeadLetters uint64
	Unkept      uint64
	Dropped     uint64
	BadEvents   uint64            // of the stream's messages
	Unsynced    *time.Duration    // the longest time that JetStream keeps acknowledged messages off a disk; nil: unknown
	Stream      map[string]uint64 // messages of the JetStream stream by outcome
}

// messages are the metric families of NATS.
var messages = []family{
	{kind: gauge, name: "reporterd_nats_degraded", help: "1 while NATS is configured and no messages arrive. Everything else works.",
		value: func(s *Snapshot) float64 { return flag(s.NATS.Degraded) }},
	{kind: counter, name: "reporterd_nats_connections_lost_total", help: "Number of lost connections to the NATS server.",
		value: func(s *Snapshot) float64 { return float64(s.NATS.Losses) }},
	{kind: gauge, name: "reporterd_nats_waiting", help: "Messages received, and not yet durable or refused.",
		value: func(s *Snapshot) float64 { return float64(s.NATS.Waiting) }},
	{kind: gauge, name: "reporterd_nats_unsynced_seconds",
		help: "The longest time that JetStream's servers keep what they acknowledged off their disks: what a power failure can lose. 0: they sync first. Absent: not known (nats.monitor_urls), or JetStream is not used.",
		series: func(s *Snapshot, put func(float64, ...string)) {
			if s.NATS.Unsynced != nil {
				put(s.NATS.Unsynced.Seconds())
			}
		}},
	{kind: counter, name: "reporterd_nats_refused_total", help: "Messages that can never be accepted.", label: "reason",
		each: func(s *Snapshot, put func(string, float64)) { each(s.NATS.Refused, put) }},
	{kind: counter, name: "reporterd_nats_dead_letters_total", help: "Messages that can never be accepted and were stored as dead letters. Refused requests are not stored: the requester got an answer.",
		value: func(s *Snapshot) float64 { return float64(s.NATS.DeadLetters) }},
	{kind: counter, name: "reporterd_nats_unkept_total", help: "Refused publishes that could not be stored as dead letters: too many at once, or no space.",
		value: func(s *Snapshot) float64 { return float64(s.NATS.Unkept) }},
	{kind: counter, name: "reporterd_nats_dropped_total", help: "Plain publishes lost because they arrived faster than they could be stored.",
		value: func(s *Snapshot) float64 { return float64(s.NATS.Dropped) }},
	{kind: counter, name: "reporterd_nats_bad_events_total", help: "Events of the JetStream stream that can never be accepted and were stored as dead letters. The other events of their messages are accepted.",
		value: func(s *Snapshot) float64 { return float64(s.NATS.BadEvents) }},
	{kind: counter, name: "reporterd_nats_stream_messages_total", help: "Messages of the JetStream stream by outcome.", label: "outcome",
		each: func(s *Snapshot, put func(string, float64)) { each(s.NATS.Stream, put) }},
}
