package console

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestSummary: the most urgent thing is said, and a total outage is never ok.
func TestSummary(t *testing.T) {
	lane := func(state string, parked int, age time.Duration) Lane {
		return Lane{State: state, Parked: parked, OldestAge: age}
	}
	for _, c := range []struct {
		about    string
		change   func(*Snapshot)
		ready    string
		level    string
		sentence string
	}{
		{"nothing to do", func(*Snapshot) {}, "", levelOK, "Flowing: everything accepted has its outcome."},
		{"flowing", func(s *Snapshot) { s.Events.Pending = 7 }, "", levelOK, "Flowing: 7 events are pending on disk."},
		{"a total outage", func(s *Snapshot) {
			s.Events.Pending, s.Reports.BreakerOpen, s.Spool.OldestAge = 7000, true, 25*time.Minute
			s.Lanes = []Lane{lane("retrying", 0, 25*time.Minute)}
		}, "", levelWait, "3scale does not answer: 7000 events are pending on disk, the oldest for 25 minutes, and are retried."},
		{"a lane held in the outage", func(s *Snapshot) {
			s.Events.Pending, s.Reports.BreakerOpen = 7000, true
			s.Lanes = []Lane{lane("retrying", 0, time.Minute), lane("held", 0, 3*time.Hour)}
		}, "", levelHelp, "1 lane is held: 7000 events are pending on disk, the oldest for 3 hours. 3scale does not answer."},
		{"retrying", func(s *Snapshot) {
			s.Events.Pending = 1
			s.Lanes = []Lane{lane("retrying", 0, 30*time.Second), lane("flowing", 0, 0)}
		}, "", levelWait, "1 lane is retrying: 1 event is pending on disk, the oldest for 30 seconds."},
		{"parked", func(s *Snapshot) { s.Lanes = []Lane{lane("flowing", 2, 0)} }, "", levelHelp, "2 reports are parked: 3scale may or may not have counted them."},
		{"dead letters", func(s *Snapshot) { s.Spool.DeadLetters = 3 }, "", levelWait, "Flowing, and 3scale refused some usage: 3 dead letters."},
		{"not ready", func(s *Snapshot) { s.Lanes = []Lane{lane("held", 0, 0)} }, "no space left", levelHelp, "Events are not accepted: no space left."},
		{"lost", func(s *Snapshot) { s.Events.Lost = 2 }, "", levelWait, "Flowing, and damage to the disk destroyed 2 events in the past."},
		{"a clock", func(s *Snapshot) { s.Reports.Clock.Waiting = 1 }, "", levelWait, "1 batch waits: 3scale's clock differs from ours."},
	} {
		var s Snapshot
		c.change(&s)
		got := summarize(&s, c.ready)
		assert.Equal(t, []string{c.level, c.sentence}, []string{got.Level, got.Sentence}, c.about)
		assert.Equal(t, c.level == levelOK, got.Advice == "", "%s: what to do is said where there is something to do", c.about)
	}
}
